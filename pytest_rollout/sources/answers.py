"""Read what Prometheus says; whatever is not exactly its form is refused, so that no gap passes for an answer.

Every function raises ValueError with what came and what was asked for.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pytest_rollout.judge.samples import Series
from pytest_rollout.sources.native import read_native

VALUES = ("vector", "scalar")
RANGES = ("matrix",)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0, "y": 365 * 86400.0}
_HARMLESS = 40
"""So many characters of an answer about targets come before the first target."""
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_FAMILY_TYPES = {
    "_total": frozenset({"counter"}),
    "_bucket": frozenset({"histogram", "gaugehistogram"}),
    "_count": frozenset({"histogram", "summary"}),
    "_sum": frozenset({"histogram", "summary"}),
}
"""Which types of families have metrics with a suffix."""


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """A target that Prometheus scrapes every ``interval`` seconds; ``health`` is ``up``, ``down`` or ``unknown``."""

    job: str
    instance: str
    interval: float
    health: str


def read_body(text: str) -> dict[str, Any]:
    """Return the body of a successful answer; its ``data`` is not null."""
    body = read_json(text)
    if body is None and text.lstrip().startswith("{"):
        raise ValueError(f"the answer is cut short or not JSON: {len(text)} characters that end in {text[-60:]!r}")
    if not isinstance(body, dict) or body.get("status") != "success":
        raise ValueError(f"not an answer of Prometheus: {text[:120]!r}")
    if body.get("data") is None:
        raise ValueError(f"success without data: {text[:120]!r}")
    return body


def read_json(text: str) -> Any:
    """Return a JSON value, None if the text is not JSON; ``NaN`` and ``Infinity`` are not (RFC 8259, 6)."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def read_notes(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the warnings and infos of a body."""
    notes = [body.get(kind) or [] for kind in ("warnings", "infos")]
    if not all(isinstance(some, list) for some in notes):
        raise ValueError(f"warnings that are no list: {_short(notes)}")
    return tuple(str(note) for some in notes for note in some)


def read_series(data: Any, asked: Sequence[str]) -> tuple[Series, ...]:
    """Return the series of a query, each label set once, each with samples in the order of time.

    ``asked`` are the result types that may come. A native histogram in a range comes as its buckets, see native.py.
    """
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if not isinstance(kind, str) or kind not in asked:
        raise ValueError(f"a result of type {kind!r} came, {' or '.join(asked)} was asked for")
    if kind == "scalar":
        return (Series({}, (_sample(result),)),)
    if not isinstance(result, list):
        raise ValueError(f"a {kind} of {_short(result)}")
    plain = tuple(_series(one, kind) for one in result if not _native(one, kind))
    series = (*plain, *read_native((_labels(one), _only(one)) for one in result if _native(one, kind)))
    seen: set[frozenset[tuple[str, str]]] = set()
    for one in series:
        labels = frozenset(one.labels.items())
        if labels in seen:
            raise ValueError(f"the series {one.labels} came twice")
        seen.add(labels)
    return series


def _labels(one: Any) -> dict[str, str]:
    labels = one.get("metric") if isinstance(one, dict) else None
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError(f"a series without labels: {_short(one)}")
    return labels


def _native(one: Any, kind: str) -> bool:
    return kind in RANGES and isinstance(one, dict) and bool(one.get("histograms"))


def _only(one: Mapping[str, Any]) -> list[Any]:
    """Return the samples of a native histogram that has no others."""
    if "values" in one:
        raise ValueError(f"{one['metric']} is a native histogram at some times and a number at others")
    return _listed(one["histograms"], "histograms")


def _series(one: Any, kind: str) -> Series:
    labels = _labels(one)
    if "histogram" in one or "histograms" in one:
        raise ValueError(f"the native histogram {labels} came, numbers were asked for")
    pairs = [one.get("value")] if kind == "vector" else one.get("values")
    if not isinstance(pairs, list) or not pairs:
        raise ValueError(f"the series {labels} has no samples")
    samples = tuple(_sample(pair) for pair in pairs)
    for (before, _), (after, _) in itertools.pairwise(samples):
        if after <= before:
            raise ValueError(f"the samples of {labels} are not in the order of time: {after} after {before}")
    return Series(labels, samples)


def _sample(pair: Any) -> tuple[float, float]:
    try:
        at, value = pair
        if type(at) in (int, float) and type(value) is str and math.isfinite(at):
            return float(at), float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{_short(pair)} is not a sample: unix seconds and a number in quotes")


def read_targets(data: Any) -> tuple[ScrapeTarget, ...]:
    """Return the active targets."""
    return tuple(_target(one) for one in _listed(_field(data, "activeTargets"), "active targets"))


def _target(one: Any) -> ScrapeTarget:
    labels = _field(one, "labels")
    if not isinstance(labels, dict):
        raise ValueError(f"a target without labels: {_short(one)}")
    return ScrapeTarget(
        job=str(labels.get("job", "")),
        instance=str(labels.get("instance", "")),
        interval=read_duration(one.get("scrapeInterval")),
        health=str(one.get("health", "unknown")),
    )


def bare_targets(text: str) -> str:
    """Return an answer about targets with nothing but what `read_targets` needs.

    Where a target is scraped, why that failed and the labels of discovery may hold tokens and passwords: parameters
    of the scrape are in all three.
    """
    body = read_json(text)
    if not isinstance(body, dict):
        return f"{text[:_HARMLESS]}... ({len(text)} characters)"
    told = {key: body[key] for key in ("status", "warnings", "infos") if key in body}
    data = body.get("data")
    targets = data.get("activeTargets") if isinstance(data, dict) else None
    if isinstance(targets, list):
        told["data"] = {"activeTargets": [_bare(one) for one in targets]}
    elif data is not None:
        told["data"] = {}
    return json.dumps(told)


def _bare(one: Any) -> dict[str, Any]:
    target = one if isinstance(one, dict) else {}
    out = {key: target[key] for key in ("scrapeInterval", "health") if isinstance(target.get(key), str)}
    labels = target.get("labels")
    if isinstance(labels, dict):
        out["labels"] = {key: labels[key] for key in ("instance", "job") if key in labels}
    return out


def read_exporters(data: Any) -> frozenset[tuple[str, str, str]]:
    """Return (job, instance, type) of the targets whose metadata is about a family."""
    found = set()
    for one in _listed(data, "targets"):
        target = _field(one, "target")
        found.add((str(_field(target, "job")), str(_field(target, "instance")), str(_field(one, "type"))))
    return frozenset(found)


def read_types(data: Any, name: str) -> frozenset[str]:
    """Return the types that targets tell of a family."""
    if not isinstance(data, dict):
        raise ValueError(f"metadata of {_short(data)}")
    return frozenset(str(_field(one, "type")) for one in _listed(data.get(name, []), "types"))


def families(metric: str) -> dict[str, frozenset[str]]:
    """Return the families that a metric may belong to, and of which types they must be then (none named: of any).

    Metadata knows a counter of the text format with ``_total``, one of OpenMetrics without.
    """
    out = {metric: frozenset[str]()}
    out |= {metric.removesuffix(end): types for end, types in _FAMILY_TYPES.items() if metric.endswith(end)}
    return {name: types for name, types in out.items() if name}


def read_names(data: Any) -> frozenset[str]:
    """Return the values of a label."""
    names = _listed(data, "names")
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"names of {_short(names)}")
    return frozenset(names)


def read_retention(data: Any) -> float | None:
    """Return for how many seconds samples are kept, None if time does not limit it: ``15d``, ``30d or 5GiB``."""
    told = _field(data, "storageRetention")
    if not isinstance(told, str):
        raise ValueError(f"a retention of {_short(told)}")
    for part in told.split(" or "):
        if part and not part.endswith("B"):
            return read_duration(part) or None
    return None


def read_duration(text: Any) -> float:
    """Return seconds of a duration as Prometheus writes it: ``1m30s``, ``2w``, ``1y``."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text) if isinstance(text, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{_short(text)} is not a duration")
    return math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)


def _field(one: Any, name: str) -> Any:
    if not isinstance(one, dict) or name not in one:
        raise ValueError(f"{_short(one)} has no {name}")
    return one[name]


def _listed(some: Any, of: str) -> list[Any]:
    if not isinstance(some, list):
        raise ValueError(f"{of} of {_short(some)}")
    return some


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 80 else f"{said[:77]}..."  # noqa: PLR2004 - fits a line
