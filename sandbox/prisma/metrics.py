"""Every metric of the application, in a registry of its own."""

import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    disable_created_metrics,
    generate_latest,
)

QUERY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.12, 0.15, 0.2, 0.25, 0.5, 1, 2.5)
PORTAL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5)
REQUEST_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
PORTAL_ROUTE = "portal/[agentId]"
"""What the portal's route is called in portal_response_duration_seconds."""


class Metrics:
    """The application's counters and histograms; durations are in seconds."""

    def __init__(self, *, requests_name: str = "http_requests", started_at: float | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        PlatformCollector(registry=registry)
        # The library's own collector knows it on Linux only, and a filled history needs an older process.
        started = Gauge("process_start_time_seconds", "When the process started, in unix seconds", registry=registry)
        started.set(time.time() if started_at is None else started_at)
        self.requests = Counter(requests_name, "Requests", ["route", "code", "cohort"], registry=registry)
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Request duration",
            ["route", "cohort"],
            registry=registry,
            buckets=REQUEST_BUCKETS,
        )
        self.query_seconds = Histogram(
            "prisma_query_duration_seconds",
            "Duration of a read through the facade",
            ["cohort"],
            registry=registry,
            buckets=QUERY_BUCKETS,
        )
        self.portal_seconds = Histogram(
            "portal_response_duration_seconds",
            "Portal response duration",
            ["route"],
            registry=registry,
            buckets=PORTAL_BUCKETS,
        )
        self.payments = Counter("financial_orchestrator_payments", "Payments", ["status"], registry=registry)
        self.rollbacks = Counter("financial_orchestrator_rollbacks", "Payments rolled back", registry=registry)
        self.settings_updates = Counter("settings_updates", "Settings updates", ["result"], registry=registry)
        self.audit_entries = Counter("audit_entries", "Audit rows written", ["path"], registry=registry)
        self.vault_errors = Counter("vault_errors", "Failed reads of a managed secret", registry=registry)
        self.secret_fallback = Counter(
            "settings_secret_fallback", "Starts with the development-only secret", registry=registry
        )
        self._be_born_at_zero()

    def _be_born_at_zero(self) -> None:
        """Create the known children: a counter born at 1 hides its first event from increase()."""
        for status in ("success", "failure"):
            self.payments.labels(status)
        for result in ("success", "failure", "noop"):
            self.settings_updates.labels(result)
        for path in ("legacy", "facade"):
            self.audit_entries.labels(path)
        self.portal_seconds.labels(PORTAL_ROUTE)
        self.query_seconds.labels("admin")

    def answered(self, route: str, code: int, cohort: str, seconds: float) -> None:
        """Count one answered request and its duration."""
        self.requests.labels(route, str(code), cohort).inc()
        self.request_seconds.labels(route, cohort).observe(seconds)

    def exposition(self) -> bytes:
        """Return the Prometheus text format."""
        return generate_latest(self.registry)
