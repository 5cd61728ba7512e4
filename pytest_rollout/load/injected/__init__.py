"""What runs inside Locust's process, and nowhere else: standard library, Locust, gevent, and the order."""
