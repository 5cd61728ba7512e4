"""The benchmark of load tools: what it takes for true, and what it says of tools that say nothing."""

from __future__ import annotations

import pytest

from benchmarks import load_truth
from benchmarks.load_truth import Said, _gate, rows, truth


def test_the_truth_is_what_those_meet_who_come_at_any_moment() -> None:
    assert truth("stalling") == pytest.approx((0.0, 0.5, 0.9), abs=0.002)
    assert truth("healthy") == pytest.approx((0.040, 0.1073, 0.1615), rel=0.02)
    assert truth("hung") is None


def test_a_usual_gate_passes_a_tool_that_has_no_figures() -> None:
    assert _gate(None, 0) == "passes"
    assert _gate(None, 1) == "fails"
    assert _gate((0.1, 0.2, 0.5), 0) == "fails"


def test_a_line_says_so_when_there_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_truth, "TOOLS", {"quiet": lambda *_: Said(0, None, "passes", 0.1)})
    assert [list(row) for row in rows("hung", 1.0, 1.0)] == [
        ["**hung**: true", "", "never", "never", "never", ""],
        ["quiet", "0", "no figure", "no figure", "no figure", "passes"],
    ]
