"""Where the plugin's state hangs on pytest's config: never in module globals, so that nested runs do not mix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_rollout.plugin.attempt import Attempt  # noqa: F401 - named in a string below
    from pytest_rollout.plugin.world import World  # noqa: F401 - named in a string below

plans_key = pytest.StashKey[list[Path]]()
"""The plans that this run collects; empty for a run that has nothing to do with rollouts."""
world_key = pytest.StashKey["World"]()
"""Only in a run with plans."""
gate_key = pytest.StashKey[Path]()
"""Only in a run for a golden gate: the plan that has the gate."""
attempt_key = pytest.StashKey["Attempt"]()
"""Only in a run of one canary."""
