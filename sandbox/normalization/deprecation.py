"""What clients are told about stage spellings that will be rejected: headers, and a page about it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from sandbox.normalization.modes import ENDPOINTS
from sandbox.normalization.stages import CANONICAL

DEPRECATED_AT = datetime(2025, 7, 1, tzinfo=UTC)
SUNSET_AT = datetime(2035, 12, 31, 23, 59, 59, tzinfo=UTC)
DOCS = "/docs/stages"
UNKNOWN = "unknown"
"""Stands in X-Stage-Deprecated-Variants for a spelling that no stage is near to."""
Headers = tuple[tuple[str, str], ...]


def rfc3339(when: datetime) -> str:
    """Return ``2025-07-01T00:00:00Z``."""
    return when.isoformat().replace("+00:00", "Z")


def headers(suggested: Iterable[str], *, unknown: bool) -> Headers:
    """Return the headers of an answer to unknown stages.

    Deprecation as RFC 9745 has it, Sunset as RFC 8594, Link as RFC 8288. No client's text gets into a header:
    the variants are told by the canonical stages they are nearest to.
    """
    near = set(suggested)
    variants = [stage for stage in CANONICAL if stage in near] + [UNKNOWN] * unknown
    return (
        ("Deprecation", f"@{DEPRECATED_AT.timestamp():.0f}"),
        ("Sunset", format_datetime(SUNSET_AT, usegmt=True)),
        ("Link", f'<{DOCS}>; rel="deprecation"; type="text/html"'),
        ("X-Stage-Deprecated-Variants", ", ".join(variants)),
        ("X-Stage-Sunset", rfc3339(SUNSET_AT)),
        ("X-Stage-Docs", DOCS),
    )


def listing() -> dict[str, Any]:
    """Return what GET /api/deprecations answers."""
    entry = {
        "id": "stage-variants",
        "deprecatedAt": rfc3339(DEPRECATED_AT),
        "sunsetAt": rfc3339(SUNSET_AT),
        "docs": DOCS,
        "validStages": list(CANONICAL),
        "endpoints": [endpoint.template for endpoint in ENDPOINTS],
    }
    return {"deprecations": [entry]}


def page() -> str:
    """Return the page the headers link to."""
    stages = "".join(f"<li>{stage}</li>" for stage in CANONICAL)
    return (
        '<!doctype html><html lang="en"><title>Stages</title><h1>Stages</h1>'
        f"<p>From {SUNSET_AT:%d %B %Y} on, only these stages are accepted:</p><ul>{stages}</ul></html>"
    )
