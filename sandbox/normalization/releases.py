"""The releases a deployment can be rolled to: the one under rollout, and the tag before the validator."""

from enum import StrEnum
from typing import Any

from sandbox.normalization import openapi
from sandbox.normalization.behaviour import Behaviour
from sandbox.normalization.modes import Mode


class Release(StrEnum):
    """A release; ``version`` is what its OpenAPI document says."""

    CURRENT = "current"
    PREVIOUS = "previous"

    @property
    def version(self) -> str:
        """The version in the OpenAPI document."""
        return "1.0.0" if self is Release.CURRENT else "0.9.0"

    def behave(self, current: Behaviour) -> Behaviour:
        """Return how this release behaves; the faults are those of the current one."""
        if self.validates(current):
            return current
        return Behaviour(mode=lambda _endpoint, _mode: Mode.OFF, describe=_without_validator)

    def validates(self, current: Behaviour) -> bool:
        """Return whether this release has a validator."""
        return self is Release.CURRENT or not current.rolls_back


def _without_validator(document: dict[str, Any]) -> dict[str, Any]:
    """Describe the API as it was before the validator."""
    bare = openapi.without_headers(document)
    paths = {path: operations for path, operations in bare["paths"].items() if path != "/api/deprecations"}
    return bare | {"paths": paths, "components": bare["components"] | {"headers": {}}}
