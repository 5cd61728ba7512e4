"""The validator's metrics and all their labels, and every value that a label may have."""

from __future__ import annotations

from collections.abc import Mapping

from canaries.stage_normalization.endpoints import ENDPOINTS, MODES
from canaries.stage_normalization.instances import Exposition

_TEMPLATES = frozenset(endpoint.template for endpoint in ENDPOINTS)
_PLACE = {"endpoint": _TEMPLATES, "mode": frozenset(MODES)}
_INPUT = {"input_type": frozenset(endpoint.input_type for endpoint in ENDPOINTS)}
ALLOWED: Mapping[str, Mapping[str, frozenset[str]]] = {
    "stage_validation_duration_seconds": {
        **_PLACE,
        **_INPUT,
        "cardinality": frozenset({"1", "2-5", "6-10", "11+", "unknown"}),
        "le": frozenset({"0.0001", "0.0005", "0.001", "0.005", "0.01", "+Inf"}),
    },
    "stage_validation_validations": {**_PLACE, **_INPUT, "result": frozenset({"ok", "warn", "reject"})},
    "stage_validation_errors": {**_PLACE, "error_code": frozenset(endpoint.code for endpoint in ENDPOINTS)},
    "stage_deprecation_header_emitted": {**_PLACE, **_INPUT},
    "stage_validation_mode": {"endpoint": _TEMPLATES},
    "stage_validation_canary_mode": {"endpoint": _TEMPLATES},
}
"""The families that have to be there, by the name of their ``# TYPE`` (or with ``_total``)."""
COUNTED = "stage_validation_validations"
_PREFIXES = ("stage_validation_", "stage_deprecation_")
Series = frozenset[tuple[str, tuple[tuple[str, str], ...]]]


def wrong_labels(read: Exposition) -> list[str]:
    """Return families that are missing, and labels and values that nobody has allowed."""
    wrong = [f"there is no family {family}" for family in ALLOWED if family not in read]
    for family in sorted(name for name in read if name.startswith(_PREFIXES)):
        allowed = ALLOWED.get(family)
        if allowed is None:
            wrong.append(f"the family {family} is not known; name its labels in {__name__}")
            continue
        for labels, _value in read[family]:
            wrong += _wrong(family, labels, allowed)
    return list(dict.fromkeys(wrong))


def _wrong(family: str, labels: Mapping[str, str], allowed: Mapping[str, frozenset[str]]) -> list[str]:
    strange = [f"{family} has a label {label}" for label in labels if label not in allowed]
    missing = [f"{family} lacks the label {label}" for label in allowed if label != "le" and label not in labels]
    values = [
        f"{family} has {label}={value!r}"
        for label, value in labels.items()
        if label in allowed and value not in allowed[label]
    ]
    return [*strange, *missing, *values]


def series(read: Exposition) -> Series:
    """Return every series of an exposition, whatever its family: nothing that a client sends may add one."""
    return frozenset(
        (family, tuple(sorted(labels.items()))) for family, samples in read.items() for labels, _ in samples
    )


def growth(before: Series, after: Series) -> list[str]:
    """Return the series that have come."""
    return [f"{family}{dict(labels)} has come" for family, labels in sorted(after - before)]


def still(before: Exposition, after: Exposition) -> list[str]:
    """Return the endpoints that have validated nothing meanwhile: requests that nobody looks at prove nothing."""
    risen = {one: _validations(after, one) > _validations(before, one) for one in sorted(_TEMPLATES)}
    return [
        f"{COUNTED} did not rise at {one}, so the odd requests were not validated" for one in risen if not risen[one]
    ]


def _validations(read: Exposition, endpoint: str) -> float:
    return sum(value for labels, value in read.get(COUNTED, ()) if labels.get("endpoint") == endpoint)
