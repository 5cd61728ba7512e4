"""What cases share by a name in their endpoint: responses of one shape, and series of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_rollout.golden.case import PINS
from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.strict import did_you_mean


class UnknownName(ValueError):  # noqa: N818 - read as a state
    """An endpoint has no response of this name; ``where`` is its place in the case."""

    def __init__(self, where: KeyPath, message: str) -> None:
        super().__init__(message)
        self.where = where


def written_out(data: Mapping[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """Return a case's data with the named responses and series of its endpoint in their places. Raises UnknownName."""
    expect = data.get("expect")
    if not isinstance(expect, dict):
        return dict(data)
    return {**data, "expect": {mode: _expectation(told, mode, endpoint) for mode, told in expect.items()}}


def _expectation(told: Any, mode: str, endpoint: Endpoint) -> Any:
    if not isinstance(told, dict):
        return told
    shared = _response(told, mode, endpoint)
    if any(pin in told for pin in PINS):
        shared = {key: value for key, value in shared.items() if key not in PINS}
    out = {**shared, **{key: value for key, value in told.items() if key != "response"}}
    for key in ("match", "headers"):
        if isinstance(shared.get(key), dict) and isinstance(told.get(key), dict):
            out[key] = {**shared[key], **told[key]}
    series = endpoint.metrics.series if endpoint.metrics else {}
    if isinstance(out.get("metrics"), dict):
        out["metrics"] = {series.get(name, name): rise for name, rise in out["metrics"].items()}
    return out


def _response(told: Mapping[str, Any], mode: str, endpoint: Endpoint) -> dict[str, Any]:
    name = told.get("response")
    if name is None:
        return {}
    if not isinstance(name, str) or name not in endpoint.responses:
        known = did_you_mean(str(name), sorted(endpoint.responses)) if endpoint.responses else "the endpoint has none"
        raise UnknownName(("expect", mode, "response"), f"unknown response {name!r}; {known}")
    return dict(endpoint.responses[name])
