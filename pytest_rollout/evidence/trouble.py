"""What a database complains about, in words that say what to do."""

from __future__ import annotations

from typing import NamedTuple

from pytest_rollout.errors import EvidenceError

ELSEWHERE = "or give another log with --rollout-evidence"


class _Advice(NamedTuple):
    what: str
    then: str


_LOCKED = _Advice("is locked, others have been writing for too long", "end them or wait for them, and try again")
_FULL = _Advice("cannot take any more", "make room on its disk, and try again")
_DAMAGED = _Advice("is damaged", f"keep it for an inquiry and put a good copy in its place, {ELSEWHERE}")
_FORBIDDEN = _Advice("cannot be written", f"give yourself the right to write it, {ELSEWHERE}")
_UNREACHABLE = _Advice(
    "cannot be reached", "check its URL, that the server runs, and the password in PGPASSWORD or ~/.pgpass"
)
_OTHER = _Advice("cannot be used", f"see to it, {ELSEWHERE}")
_KNOWN = {
    # https://www.sqlite.org/rescode.html
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": _Advice("cannot be used", f"check that its disk is sound and not full, {ELSEWHERE}"),
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _Advice("is something else", f"move it away, {ELSEWHERE}"),
    "SQLITE_READONLY": _FORBIDDEN,
    "SQLITE_PERM": _FORBIDDEN,
    "SQLITE_CANTOPEN": _Advice("cannot be opened", f"check that its folder is there and can be written, {ELSEWHERE}"),
    # https://www.postgresql.org/docs/current/errcodes-appendix.html
    "08": _UNREACHABLE,
    "28": _UNREACHABLE,
    "3D": _UNREACHABLE,
    "42501": _FORBIDDEN,
    "25006": _FORBIDDEN,
    "53100": _FULL,
    "55P03": _LOCKED,
    "57": _UNREACHABLE,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}


def told(where: str, exc: Exception) -> EvidenceError:
    """Return the error to raise for one of SQLAlchemy, of its driver or of the system.

    Only the driver's own words are passed on: SQLAlchemy's hold the statement and its values.
    """
    cause = getattr(exc, "orig", None) or exc
    advice = _advice(cause)
    said = " ".join(str(cause).split()) or type(cause).__name__
    return EvidenceError(f"the evidence log {where} {advice.what} ({said}); {advice.then}")


def _advice(cause: object) -> _Advice:
    name = getattr(cause, "sqlite_errorname", None)
    if name:  # SQLITE_IOERR_WRITE is an SQLITE_IOERR
        return _KNOWN.get("_".join(name.split("_")[:2]), _OTHER)
    if not hasattr(cause, "sqlstate"):
        return _OTHER
    state = cause.sqlstate or "08"  # libpq has none when it gets no connection
    return _KNOWN.get(state) or _KNOWN.get(state[:2], _OTHER)
