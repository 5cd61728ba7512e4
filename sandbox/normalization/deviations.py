"""What faulty releases do instead: one small function for each joint of Behaviour that a fault replaces."""

import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sandbox.normalization import metrics, stages, validation, weights
from sandbox.normalization.answers import Body, Refusal
from sandbox.normalization.deprecation import Headers
from sandbox.normalization.modes import CANARY, COMPANIES, MONTE_CARLO, STRATEGIES, Endpoint, Mode
from sandbox.normalization.validation import Find, Findings

_SLOW_SECONDS = 0.008
_LATE_SECONDS = 8.0


# Modes.


def enforce_is_warn(endpoint: Endpoint, mode: Mode) -> Mode:
    """Treat enforce as warn at the strategies."""
    return Mode.WARN if endpoint is STRATEGIES and mode is Mode.ENFORCE else mode


def off_is_warn(endpoint: Endpoint, mode: Mode) -> Mode:
    """Treat off as warn at the companies."""
    return Mode.WARN if endpoint is COMPANIES and mode is Mode.OFF else mode


def warn_is_enforce(endpoint: Endpoint, mode: Mode) -> Mode:
    """Treat warn as enforce at the simulation."""
    return Mode.ENFORCE if endpoint is MONTE_CARLO and mode is Mode.WARN else mode


def everybody_is_canary(_header: str | None) -> str:
    """Give the canary's mode to all."""
    return CANARY


def deaf_second(instance: int) -> bool:
    """Let the second instance miss every flip."""
    return instance != 2  # noqa: PLR2004


def late(seconds: float) -> float:
    """Take up a flip long after the promised five seconds."""
    return seconds + _LATE_SECONDS


def always_two(_mode: Mode) -> float:
    """Show enforce, whatever the mode is."""
    return float(Mode.ENFORCE.level)


# Deprecation headers.


def none_on_companies(endpoint: Endpoint, headers: Headers, _findings: Findings) -> Headers:
    """Forget the headers on one path."""
    return () if endpoint is COMPANIES else headers


def tuesday(_endpoint: Endpoint, headers: Headers, _findings: Findings) -> Headers:
    """Name the wrong day of the week in Sunset."""
    return _with(headers, "Sunset", f"Tue{dict(headers)['Sunset'][3:]}")


def too_early(_endpoint: Endpoint, headers: Headers, _findings: Findings) -> Headers:
    """Let the sunset be before the deprecation."""
    return _with(headers, "Sunset", "Sat, 01 Jun 2024 00:00:00 GMT")


def legacy(_endpoint: Endpoint, headers: Headers, _findings: Findings) -> Headers:
    """Write Deprecation as the drafts before RFC 9745 had it."""
    return _with(headers, "Deprecation", "true")


def twice(_endpoint: Endpoint, headers: Headers, _findings: Findings) -> Headers:
    """Send Deprecation twice, as a proxy does that adds its own."""
    return (headers[0], *headers)


def without_relation(_endpoint: Endpoint, headers: Headers, _findings: Findings) -> Headers:
    """Leave the relation out of Link."""
    return _with(headers, "Link", dict(headers)["Link"].replace('; rel="deprecation"', ""))


def echoed(_endpoint: Endpoint, headers: Headers, findings: Findings) -> Headers:
    """Put the client's own text into a header."""
    text = ", ".join(findings.unknown).encode("ascii", "replace").decode()
    return _with(headers, "X-Stage-Deprecated-Variants", "".join(filter(str.isprintable, text)))


def _with(headers: Headers, name: str, value: str) -> Headers:
    return tuple((known, value if known == name else usual) for known, usual in headers)


# Refusals.


def other_code(endpoint: Endpoint, refusal: Refusal, _request: str) -> Refusal:
    """Answer another code for unknown stages at the companies."""
    wrong = endpoint is COMPANIES and refusal.body["details"].get("code") == "INVALID_STAGE"
    return _detailed(refusal, code="INVALID_QUERY") if wrong else refusal


def unprocessable(endpoint: Endpoint, refusal: Refusal, _request: str) -> Refusal:
    """Answer 422 to an unknown stage in a simulation."""
    wrong = endpoint is MONTE_CARLO and refusal.body["error"] == endpoint.error
    return replace(refusal, status=422) if wrong else refusal


def echo(_endpoint: Endpoint, refusal: Refusal, request: str) -> Refusal:
    """Send the request back in the answer."""
    return _detailed(refusal, received=request)


def uncorrelated(_endpoint: Endpoint, refusal: Refusal, _request: str) -> Refusal:
    """Leave the correlation id out of the body."""
    return replace(refusal, body={name: value for name, value in refusal.body.items() if name != "correlationId"})


def five_stages(_endpoint: Endpoint, refusal: Refusal, _request: str) -> Refusal:
    """Name only five of the six valid stages."""
    valid = refusal.body["details"].get("validStages")
    return _detailed(refusal, validStages=valid[:-1]) if valid else refusal


def _detailed(refusal: Refusal, **details: Any) -> Refusal:
    return replace(refusal, body=refusal.body | {"details": refusal.body["details"] | details})


# Metrics.


def rejects_uncounted(event: str) -> int:
    """Count everything but rejects."""
    return int(event != "reject")


def headers_uncounted(event: str) -> int:
    """Count everything but headers."""
    return int(event != "header")


def errors_twice(event: str) -> int:
    """Count every error twice."""
    return 2 if event == "error" else 1


def raw_path(_endpoint: Endpoint, path: str) -> str:
    """Label with the path as it was asked, ids and all."""
    return path


def raw_cardinality(entries: int) -> str:
    """Label with the exact number of entries."""
    return str(entries) if entries else metrics.cardinality(entries)


# Sums.


def exclusive(_mode: Mode, shares: Iterable[Decimal]) -> bool:
    """Exclude the tolerance itself."""
    return abs(weights.total(shares) - 1) < weights.TOLERANCE


def in_floats(_mode: Mode, shares: Iterable[Decimal]) -> bool:
    """Add up in floats."""
    return abs(sum(float(share) for share in shares) - 1) <= float(weights.TOLERANCE)


def unless_off(mode: Mode, shares: Iterable[Decimal]) -> bool:
    """Look at sums only if the validator is on."""
    return mode is Mode.OFF or weights.is_one(shares)


# Recognition.


def without_series_b(text: str) -> str | None:
    """Forget the aliases of series-b."""
    stage = stages.recognise(text)
    return None if stage == "series-b" and text != stage else stage


def with_seriesc(text: str) -> str | None:
    """Take ``seriesc`` for series-c, though it may be series-c+."""
    return stages.recognise(text) or ("series-c" if stages.fold(text) == "seriesc" else None)


def plus_unknown(text: str) -> str | None:
    """Recognise everything but series-c+, canonical or not."""
    stage = stages.recognise(text)
    return None if stage == "series-c+" else stage


def crash_on_underscore(text: str) -> str | None:
    """Fail on aliases with an underscore."""
    if "_" in text and stages.recognise(text):
        raise KeyError("_")
    return stages.recognise(text)


def crash_on_prototype(text: str) -> str | None:
    """Fail on names every JavaScript object has."""
    if text in ("__proto__", "constructor", "toString"):
        raise TypeError("not a stage")
    return stages.recognise(text)


def without_nfkd(text: str) -> str | None:
    """Recognise only what is composed of the usual characters."""
    return stages.recognise(text) if unicodedata.is_normalized("NFKD", text) else None


def no_suggestion(_text: str) -> None:
    """Suggest nothing."""


def any_suggestion(text: str) -> str:
    """Suggest the nearest stage, however far."""
    return min(stages.CANONICAL, key=lambda stage: stages.edit_distance(stages.fold(text), stage))


def slowly(sent: Sequence[str], recognise: Find, nearest: Find) -> Findings:
    """Take 8 ms for every validation."""
    time.sleep(_SLOW_SECONDS)
    return validation.examine(sent, recognise, nearest)


# What is served.


def aliases_kept(endpoint: Endpoint, sent: Sequence[str], findings: Findings) -> tuple[str, ...]:
    """Store strategies with the stages as sent."""
    return tuple(sent) if endpoint is STRATEGIES else findings.stages


def seed_for_unknown(_endpoint: Endpoint, _sent: Sequence[str], findings: Findings) -> tuple[str, ...]:
    """Serve an unknown stage as seed."""
    return tuple("seed" if stage in findings.unknown else stage for stage in findings.stages)


def rounded_in_enforce(mode: Mode, results: Body) -> Body:
    """Round the mean to two places in enforce."""
    return results | {"mean": round(results["mean"], 2)} if mode is Mode.ENFORCE else results


def as_stored(asked: str, stored: str) -> bool:
    """Find companies by their stored text alone."""
    return asked == stored


def after_following(_last: int, following: int) -> int:
    """Let the next page start after its own first row."""
    return following


def canary_held_back(cohort: str) -> float:
    """Hold the canary's answers back for 60 ms."""
    return 0.06 if cohort == CANARY else 0.0


def nothing_deprecated() -> Body:
    """List no deprecation."""
    return {"deprecations": []}
