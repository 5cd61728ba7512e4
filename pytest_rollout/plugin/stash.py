"""Where the plugin's state hangs on pytest's config: never in module globals, so that nested runs do not mix."""

from __future__ import annotations

import pytest

from pytest_rollout.plugin.settings import Settings
from pytest_rollout.plugin.world import World

settings_key = pytest.StashKey[Settings]()
world_key = pytest.StashKey[World]()
