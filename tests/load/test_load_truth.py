"""The benchmarks of load tools: what they take for true, how they read what tools say, and what they tell of it."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import httpx
import pytest

from benchmarks import load_throughput, load_truth
from benchmarks.load_server import Log, served
from benchmarks.load_throughput import Speed
from benchmarks.load_tools import TOOLS, Asked, Said, gate, missing
from benchmarks.load_truth import Case, tell, told, truth

ASKED = Asked("http://127.0.0.1:9", 5.0, 100.0)
SAID = Said(3, (0.1, 0.2, 0.3), "passes", (10.0, 20.0))


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is searched for tools first."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def put(folder: Path, name: str, text: str) -> None:
    """Write a tool."""
    (folder / name).write_text("#!/bin/sh\n" + textwrap.dedent(text))
    (folder / name).chmod(0o755)


def test_the_truth_of_a_stall_is_what_those_meet_who_come_at_any_moment() -> None:
    assert truth("stalling", Log(), SAID) == pytest.approx((0.0, 0.5, 0.9), abs=0.002)


def test_the_truth_of_a_healthy_server_is_its_log_of_what_the_tool_has_measured() -> None:
    log = Log(4, [(9.9, 5.0), (10.0, 0.1), (15.0, 0.2), (20.0, 7.0)])
    assert truth("healthy", log, SAID) == (0.1, 0.2, 0.2)
    assert truth("healthy", log, Said(4, None, "passes")) == (0.2, 7.0, 7.0)


def test_a_server_that_answers_nobody_has_no_percentiles() -> None:
    assert truth("hung", Log(asked=5), SAID) is None


def test_a_server_logs_how_long_it_took_and_forgets_it_once_told() -> None:
    with served("idle") as server:
        assert httpx.get(server.url).text == "ok"
        first, second = server.log(), server.log()
    ((came, took),) = first.answered
    assert (first.asked, second) == (1, Log())
    assert came > 0 <= took


def test_a_usual_gate_passes_a_tool_that_has_no_figures() -> None:
    assert gate(None, 0) == "passes"
    assert gate(None, 1) == "fails"
    assert gate((0.1, 0.2, 0.5), 0) == "fails"


def test_figures_are_told_with_what_is_wrong_about_them() -> None:
    assert list(told((0.0021, 0.3, 1.0), (0.001, 0.5, 1.0))) == ["2.1 (+1.1)", "300.0 (-200.0)", "1,000.0 (+0.0)"]
    assert list(told((0.1, 0.2, 0.3), None)) == ["100.0 (never)", "200.0 (never)", "300.0 (never)"]
    assert list(told(None, None)) == ["no figure"] * 3


@pytest.mark.usefixtures("tool")
def test_tools_that_are_not_here_are_left_out_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(load_truth, "TOOLS", {"ours": lambda _: Said(0, None, "breached")})
    text = tell([Case("hung", 1.0, (("ours", 20.0), ("wrk", None)))])
    assert "| hung | ours, 20/s | 0 | no figure | no figure | no figure | breached |\n\n" in text
    assert "Not available here: wrk, wrk2, k6. " in text


@pytest.mark.parametrize("name", ["wrk", "wrk2"])
def test_what_wrk_says_is_read(tool: Path, name: str) -> None:
    put(tool, name, "echo Latency; echo ROLLOUT 1234 0.002 0.3 0.9\n")
    assert name not in missing()
    assert TOOLS[name](ASKED) == Said(1234, (0.002, 0.3, 0.9), "fails")


def test_wrk_without_an_answer_has_no_figures(tool: Path) -> None:
    put(tool, "wrk", "echo ROLLOUT 0 0 0 0\n")
    assert TOOLS["wrk"](ASKED) == Said(0, None, "passes")


def test_what_k6_says_is_read_and_its_exit_code_is_its_gate(tool: Path) -> None:
    summary = '{"metrics":{"http_reqs":{"count":9},"http_req_duration":{"p(50)":1.5,"p(95)":20,"p(99)":900}}}'
    put(tool, "k6", f"""echo '{summary}' > "${{3#*=}}"\nexit 99\n""")
    assert TOOLS["k6"](ASKED) == Said(9, (0.0015, 0.02, 0.9), "fails")


def test_throughput_is_told_beside_that_of_the_same_round() -> None:
    speeds = {
        "plain": [Speed(1000.0, 2000.0), Speed(2000.0, 2000.0)],
        "closed": [Speed(900.0, 1000.0), Speed(1800.0, 1000.0)],
        "open": [Speed(700.0, 1000.0, 0.002), Speed(1400.0, 1000.0, 0.004)],
        "highest": [Speed(650.0, 1000.0, 0.001), Speed(1300.0, 1000.0, 0.001)],
    }
    text = load_throughput.told(speeds, 0.1)
    assert "recorder | 1,350 (900 to 1,800) | 0.90 | 1,000 (1,000 to 1,000) | 0.50 |  |\n" in text
    assert "first rate | 1,050 (700 to 1,400) | 0.70 | 1,000 (1,000 to 1,000) | 0.50 | 3.0 |\n" in text
    assert "per second and core: missed." in text
    speeds["highest"] = speeds["open"]
    assert "per second and core: met." in load_throughput.told(speeds, 0.1)
