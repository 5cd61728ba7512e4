"""--rollout-flipped-at."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import FLAGS, Bench

SPEED = {"id": "speed", "promql": "last_over_time(speed[$window])", "below": 5, "over": "10m"}


@pytest.mark.parametrize(
    ("known", "arguments", "flag_state"),
    [
        (None, (), "inconclusive flip-unknown"),
        (None, ("--rollout-flipped-at", "2025-01-01T00:00:00+00:00"), "passed within-limit"),
        (None, ("--rollout-flipped-at", "2025-01-01T02:00+02:00"), "passed within-limit"),
        ("2025-01-01T00:00:00+00:00", (), "passed within-limit"),
    ],
)
def test_the_time_of_the_flip_has_to_be_known(
    bench: Bench, known: str | None, arguments: tuple[str, ...], flag_state: str
) -> None:
    bench.plan(flags=FLAGS)
    bench.world.flipped_at = known

    result = bench.run("-m", "stage1", *arguments)

    assert bench.checks() == {"flag-state": flag_state, "latency": "passed within-limit"}
    assert result.ret == int(flag_state != "passed within-limit")


def test_what_the_flag_service_knows_is_better_than_what_people_say(bench: Bench) -> None:
    bench.plan(SPEED, flags=FLAGS)
    bench.world.flipped_at = "now"
    bench.world.values["last_over_time(speed[$window])"] = 1

    assert bench.run("-m", "stage1", "--rollout-flipped-at", "2025-01-01T00:00:00+00:00").ret == 1
    assert bench.checks()["speed"] == "inconclusive window-not-elapsed"
