"""Load: run Locust as a subprocess, and read what it has seen. Only ``injected`` imports Locust, in its process."""
