"""What a run prints in the end."""

from __future__ import annotations

import re

import pytest

from tests.plugin.conftest import FLAGS, GATE, OTHER, Bench


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def lines_of(bench: Bench, result: pytest.RunResult) -> list[str]:
    """Return the lines from our first to our last."""
    lines = [line.rstrip() for line in result.stdout.lines if line]
    first = next(index for index, line in enumerate(lines) if re.match(r"=+ shop stage1 ", line))
    last = next(index for index, line in enumerate(lines) if line.startswith("decision:"))
    lines = [line.replace(str(bench.path), "HERE") for line in lines[first : last + 1]]
    return [re.sub(r"^(evidence \d+):[0-9a-f]{64} ", r"\1:HASH ", line) for line in lines]


def test_a_go(bench: Bench) -> None:
    bench.plan(GATE, OTHER, flags=FLAGS)

    assert lines_of(bench, bench.run("-m", "stage1")) == [
        "========================== shop stage1 in staging: GO ==========================",
        "check       verdict  value  limit  window  samples  why",
        "flag-state  passed   1      1      -       1        READS is True for '*'",
        "latency     passed   1      5      -       1        the value 1 is below 5",
        "errors      passed   0      0      -       1        the value 0 is at most 0",
        "evidence 8:HASH  HERE/.rollout/evidence.db",
        "decision: GO  HERE/reports/verdict.json",
    ]


def test_a_hold_says_what_is_missing(bench: Bench) -> None:
    bench.plan(GATE, {"id": "speed", "promql": "rate(speed[$window])", "above": 0.25, "over": "10m"})
    bench.world.values |= {"rate(speed[$window])": "NaN", "latency": 0.12345}

    assert lines_of(bench, bench.run("-m", "stage1", "--deselect", "absent")) == [
        "========================= shop stage1 in staging: HOLD =========================",
        "check    verdict       value   limit  window  samples  why",
        "latency  passed        0.1235  5      -       1        the value 0.12345 is below 5",
        "speed    inconclusive  -       -      -       -        not-a-number: the query gave nan; often this",
        "                                                       is 0/0, no traffic",
        "evidence 6:HASH  HERE/.rollout/evidence.db",
        "decision: HOLD  HERE/reports/verdict.json",
    ]


def test_a_no_go_with_a_fault_and_a_push(bench: Bench) -> None:
    bench.plan()
    bench.world.values["latency"] = 1234567
    bench.test("import surely_not_there", "test_broken")

    result = bench.run("-m", "stage1", "--continue-on-collection-errors", "--rollout-push", "always")

    assert lines_of(bench, result) == [
        "======================== shop stage1 in staging: NO-GO =========================",
        "check    verdict   value      limit  window  samples  why",
        "latency  breached  1,234,567  5      -       1        limit-breached: the value 1.23457e+06 is not",
        "                                                      below 5",
        "not complete: test_broken.py could not be collected",
        f"pushgateway pushed: 1 pushed to {bench.world.url}",
        "evidence 4:HASH  HERE/.rollout/evidence.db",
        "decision: NO-GO  HERE/reports/verdict.json",
    ]


@pytest.mark.parametrize(
    "arguments", [("-q",), ("-qq",), ("-v",), ("--tb=no",), ("-r", "N"), ("--no-header",)], ids=str
)
def test_the_table_is_printed_however_quiet_the_run(bench: Bench, arguments: tuple[str, ...]) -> None:
    bench.plan()

    result = bench.run("-m", "stage1", *arguments)

    assert len(lines_of(bench, result)) == 5


def test_a_wide_terminal_is_used(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    bench.plan()
    bench.world.values["latency"] = [1, 2, 3]

    (_, _, row, _, _) = lines_of(bench, bench.run("-m", "stage1"))

    names = ", ".join(f'latency{{instance="a:1",job="shop",number="{place}"}}' for place in range(3))
    assert row.endswith(
        f"several-series: the query gave 3 series ({names}); aggregate them to one, or say quantifier: all and "
        "expect_series"
    )


@pytest.mark.parametrize(
    ("variables", "arguments", "coloured"),
    [
        ({"PY_COLORS": "1"}, (), True),
        ({"PY_COLORS": ""}, ("--color=yes",), True),
        ({"NO_COLOR": "1", "PY_COLORS": ""}, (), False),
        ({"PY_COLORS": ""}, (), False),
        ({"PY_COLORS": "1"}, ("--color=no",), False),
    ],
    ids=str,
)
def test_colours(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    arguments: tuple[str, ...],
    coloured: bool,
) -> None:
    for name, value in variables.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name)
    bench.plan()

    result = bench.run("-m", "stage1", *arguments)

    text = result.stdout.str()
    assert ("\x1b[" in text) is coloured
    assert ("\x1b[32m\x1b[1mdecision: GO" in text) is coloured
