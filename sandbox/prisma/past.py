"""A past for the metrics: count the scheduled traffic of a stretch of time as if it had been answered."""

from collections.abc import Callable

from sandbox.prisma.metrics import PORTAL_ROUTE
from sandbox.prisma.site import PORTAL, Site
from sandbox.schedule import CYCLE_SECONDS, KINDS, Kind

_OVERHEAD_SECONDS = 0.004
_AUDIT_ROWS = 4
"""What a payment that settles a part of one invoice leaves."""


def assume(site: Site, seconds: float) -> None:
    """Count so many seconds of scheduled traffic in the metrics, faults included."""
    cycles = round(seconds / CYCLE_SECONDS)
    kinds = [(kind.per_cycle, _counting(site, kind)) for kind in KINDS] if cycles else []
    for _ in range(cycles):
        for times, count in kinds:
            for _ in range(times):
                count()


def _counting(site: Site, kind: Kind) -> Callable[[], None]:
    """Return what counts one request of the kind; its metrics are looked up once, not 100 000 times."""
    metrics = site.metrics
    codes = {code: metrics.requests.labels(kind.route, code, kind.cohort).inc for code in _codes(site, kind)}
    observe = [metrics.request_seconds.labels(kind.route, kind.cohort).observe]
    if kind.cohort == "agents":
        observe.append(metrics.portal_seconds.labels(PORTAL_ROUTE).observe)
    through_facade = not kind.pays and site.reads(kind.route, kind.cohort).name == "facade"
    if through_facade:
        observe.append(metrics.query_seconds.labels(kind.cohort).observe)
    usual = next(iter(codes))
    filtered = "agentId=" in kind.path
    overhead = _OVERHEAD_SECONDS + site.late(kind.route)
    portal = kind.route == PORTAL

    def count() -> None:
        strikes = site.portal_errors.strikes() if portal else site.errors.strikes(kind.cohort, filtered=filtered)
        codes["500" if strikes else usual]()
        took = overhead + (site.distance.seconds() if through_facade else 0)
        for one in observe:
            one(took)
        if kind.pays:
            metrics.payments.labels("success").inc()
            metrics.audit_entries.labels("legacy").inc(_AUDIT_ROWS)

    return count


def _codes(site: Site, kind: Kind) -> list[str]:
    """Return the status codes such requests get, the usual one first."""
    usual = "201" if kind.pays else "200"
    if kind.route == "/" and site.has("dashboard-500"):
        usual = "500"
    fault = "portal-errors-10pct" if kind.route == PORTAL else "errors-1pct" if kind.cohort == "admin" else ""
    return [usual, "500"] if site.has(fault) else [usual]
