"""The tag before the validator, as far as it differs from the release under rollout."""

from typing import Any

from sandbox.normalization import openapi
from sandbox.normalization.behaviour import Behaviour
from sandbox.normalization.modes import Mode
from sandbox.normalization.releases import Release


def validates(release: Release, current: Behaviour) -> bool:
    """Return whether a release has a validator, given how the current one behaves."""
    return release is Release.CURRENT or not current.rolls_back


def behaviour_of(release: Release, current: Behaviour) -> Behaviour:
    """Return how a release behaves; the faults are those of the current one."""
    if validates(release, current):
        return current
    return Behaviour(mode=lambda _endpoint, _mode: Mode.OFF, describe=_without_validator)


def _without_validator(document: dict[str, Any]) -> dict[str, Any]:
    """Describe the API as it was before the validator."""
    bare = openapi.without_headers(document)
    paths = {path: operations for path, operations in bare["paths"].items() if path != "/api/deprecations"}
    return bare | {"paths": paths, "components": bare["components"] | {"headers": {}}}
