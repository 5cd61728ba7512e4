"""Administrators who go through the dashboard's pages, and programs that read its API.

With Locust's web page: ``locust -f locustfiles/dashboard.py --host http://127.0.0.1:8000``.
``DASHBOARD_COHORT`` is sent as x-cohort (default admin).
"""

from __future__ import annotations

import os
import random

from locust import FastHttpUser, between, task

PAGES = ("/agents", "/invoices", "/payments", "/partners", "/reports")
TABLES = ("agents", "invoices", "payments", "sales-partners", "agent-summaries")
CARD, CARDS = "text-2xl font-bold", 4
COHORT = os.environ.get("DASHBOARD_COHORT", "admin")


class Administrator(FastHttpUser):
    """Opens the dashboard, then this page and that."""

    wait_time = between(1, 3)
    network_timeout = connection_timeout = 10.0
    default_headers = {"x-cohort": COHORT}  # noqa: RUF012 - Locust's own way to say it

    @task(3)
    def overview(self) -> None:
        """Open the dashboard."""
        with self.client.get("/", catch_response=True) as response:
            if response.ok and (response.text or "").count(CARD) < CARDS:
                response.failure(f"the dashboard has fewer than {CARDS} cards")

    @task(2)
    def page(self) -> None:
        """Open a page with a table."""
        with self.client.get(random.choice(PAGES), catch_response=True) as response:  # noqa: S311 - traffic
            if response.ok and "<table" not in (response.text or ""):
                response.failure("the page has no table")

    @task(2)
    def read(self) -> None:
        """Read rows from the API."""
        with self.rest("GET", f"/api/{random.choice(TABLES)}") as response:  # noqa: S311 - traffic
            if response.ok and not isinstance(response.js, list):
                response.failure("the API did not answer a list")
