"""Where evidence is read: Prometheus, the flag service."""
