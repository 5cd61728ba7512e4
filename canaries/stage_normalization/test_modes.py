"""The mode is confirmed on every serving instance: what it says, shows and does agrees with the flags.

The wanted modes are those of the flag service, which the check ``flag-state`` compares with the plan. An unknown stage
is sent to every endpoint of every instance, and as the cohort canary, too, unless it would be rejected: in a slice of
10 % that would be seen in its error rate, which is a gate. In off and warn a strategy is stored for fund 8, with a name
that begins with "synthetic".
"""

from __future__ import annotations

from typing import Any

import pytest

from canaries.stage_normalization.instances import (
    CANARY,
    SPREAD_SECONDS,
    Instance,
    UnusableError,
    await_modes,
    flagged,
    require,
    wrong_modes,
)

pytestmark = pytest.mark.canary("modes")


def test_every_instance_is_in_the_modes_of_the_flags(
    serving: tuple[Instance, ...], name: str, rollout_target: Any
) -> None:
    """Every instance says, shows and acts as the flags want it, for everybody and the canary, before and after."""
    wanted = flagged(rollout_target.flags_url)
    require(f"after {SPREAD_SECONDS:g} s", await_modes(serving, wanted))
    probed = [
        (endpoint, cohort) for (endpoint, cohort), mode in wanted.items() if (cohort, mode) != (CANARY, "enforce")
    ]
    require("modes", [line for one in serving for line in wrong_modes(one, wanted, probed, name)])
    require("afterwards", await_modes(serving, wanted))
    if (after := flagged(rollout_target.flags_url)) != wanted:
        raise UnusableError(f"the flags turned meanwhile, from {wanted} to {after}")
