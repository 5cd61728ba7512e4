"""The mode is confirmed on every serving instance: what it says, shows and does agrees with the flags.

The wanted modes are those of the flag service, which the check ``flag-state`` compares with the plan. An unknown stage
is sent to every endpoint of every instance, and as the cohort canary, too, unless it would be rejected: in a slice of
10 % that would be seen in its error rate, which is a gate. In off and warn a strategy is stored for fund 8, with a name
that begins with "synthetic".
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from canaries.stage_normalization.endpoints import ENDPOINTS, MODES
from canaries.stage_normalization.instances import (
    CANARY,
    COHORTS,
    SPREAD_SECONDS,
    Instance,
    Modes,
    UnusableError,
    await_modes,
    require,
    strangers,
    wrong_modes,
)
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.http import Http

pytestmark = pytest.mark.canary("modes")


def test_every_instance_is_in_the_modes_of_the_flags(
    serving: tuple[Instance, ...], name: str, rollout_target: Any
) -> None:
    """Every instance says, shows and acts as the flags want it, for everybody and the canary, before and after."""
    with httpx.Client(base_url=rollout_target.url, trust_env=False, timeout=5) as client:
        require("instances", strangers(Instance(client), serving))
    wanted = flagged(rollout_target.flags_url)
    require(f"after {SPREAD_SECONDS:g} s", await_modes(serving, wanted))
    probed = [
        (endpoint, cohort) for (endpoint, cohort), mode in wanted.items() if (cohort, mode) != (CANARY, "enforce")
    ]
    require("modes", [line for one in serving for line in wrong_modes(one, wanted, probed, name)])
    require("afterwards", await_modes(serving, wanted))
    if (after := flagged(rollout_target.flags_url)) != wanted:
        raise UnusableError(f"the flags turned meanwhile, from {wanted} to {after}")


def flagged(url: str | None) -> Modes:
    """Return the modes that the flag service wants, without any token. Raises UnusableError."""
    if url is None:
        raise UnusableError("the environment has no flag service, so nobody knows which modes are wanted")
    http = Http()
    try:
        reader = FlagReader(url, http)
        read = {(one.name, cohort): reader.read(one.flag, cohort) for one in ENDPOINTS for cohort in COHORTS}
    finally:
        http.close()
    for reading in read.values():
        if reading.value not in MODES:
            raise UnusableError(f"{reading.flag} is {reading.value!r}, not a mode; {reading.fault}")
    return {place: reading.value for place, reading in read.items()}  # type: ignore[misc]
