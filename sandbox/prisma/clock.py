"""Times as the application stores and shows them: RFC 3339 in UTC with milliseconds."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def rfc3339(when: datetime) -> str:
    """Return ``2025-07-01T12:00:00.000Z``; such texts sort by time."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
