"""``rollout_gate``: the gates of a plan as assertions of a Python test."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugin.conftest import FLAGS, GATE, Bench

ONE_GATE = "def test_it(rollout_gate):\n    {call}\n"
OF_STAGE = "import pytest\n@pytest.mark.stage1\n" + ONE_GATE


@pytest.mark.parametrize(
    ("value", "said", "lines", "decision"),
    [
        (1, "passed within-limit", [], "GO"),
        (
            9,
            "breached limit-breached",
            [
                "E*GateBreached: test_it: BREACHED (limit-breached)",
                "E*  the value 9 is not below 5",
                "E*  value 9, limit 5, 1 samples",
            ],
            "NO-GO",
        ),
        (
            "NaN",
            "inconclusive not-a-number",
            [
                "E*GateInconclusive: test_it: INCONCLUSIVE (not-a-number)",
                "E*  the query gave nan; often this is 0/0, no traffic",
            ],
            "HOLD",
        ),
        ([], "inconclusive no-data", ["E*GateInconclusive: test_it: INCONCLUSIVE (no-data)"], "HOLD"),
    ],
    ids=["pass", "breach", "not a number", "no data"],
)
def test_a_gate_in_a_stage_test_decides_its_check(
    bench: Bench, value: Any, said: str, lines: list[str], decision: str
) -> None:
    bench.plan()
    bench.world.values["speed"] = value
    bench.test(OF_STAGE.format(call='print(rollout_gate.promql("speed", below=5).value)'))

    result = bench.run("-m", "stage1", "-rP")

    assert (result.ret, bench.decision) == (int(decision != "GO"), decision)
    assert bench.checks() == {"latency": "passed within-limit", "test_shop.py::test_it": said}
    result.stdout.fnmatch_lines(lines)
    check = bench.document()["stages"][0]["checks"][1]
    assert (check["kind"], check["nodeid"]) == ("test", "test_shop.py::test_it")
    assert check["value"] == (value if isinstance(value, int) else None)
    assert ("1.0" in result.stdout.lines) is (decision == "GO")


def test_a_refused_query_is_an_error_and_no_failure(bench: Bench) -> None:
    bench.plan()
    bench.world.statuses["speed"] = 400
    bench.test(OF_STAGE.format(call='rollout_gate.promql("speed", below=5)'))

    result = bench.run("-m", "stage1")

    assert bench.checks()["test_shop.py::test_it"] == "error query-refused"
    result.stdout.fnmatch_lines(["E*GateError: test_it: ERROR (query-refused)"])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('quantile(0.95, "x_seconds", below=120, over="30m")', "120 is not a duration; write a number with a unit*"),
        ('ratio(bad="a", total="b", below=0.5, over="30m")', "0.5 is not a share; write per cent, such as 0.5%*"),
        ('counter("a", at_most="5%", over="30m")', "'5%' is not a count; write a whole number, such as 0"),
        ('promql("a", below="5ms")', "'5ms' is not a number; this gate compares a bare value*"),
        ('promql("a")', "a promql gate needs exactly one of below, at_most, above, at_least"),
        ('promql("a", below=1, above=0)', "a promql gate needs exactly one of below, at_most, above, at_least"),
        ('promql("a > 1", below=5)', "the query compares with >; write the bare value and put the limit in the gate"),
        ('promql("sum(", below=5)', "*"),
        ('ratio(bad="a", total="b", below="1%")', "a ratio gate needs 'over', such as over: 30m"),
        ('promql("a", belw=5)', "unknown key 'belw'; did you mean 'below'?"),
        ('quantile(95, "x_seconds", below="1s", over="30m")', "*less than 1*"),
        ('quantile(0.95, "x_seconds_bucket", below="1s", over="30m")', "name the histogram itself: 'x_seconds'"),
    ],
)
def test_units_and_keys_are_those_of_the_plan(bench: Bench, call: str, said: str) -> None:
    bench.plan()
    bench.test(ONE_GATE.format(call=f"rollout_gate.{call}"))

    result = bench.run("test_shop.py", "shop.rollout.yaml", "-k", "test_it")

    assert result.ret == 1
    result.stdout.fnmatch_lines([f"E*GateError: test_it: {said}"])
    assert not any(request.startswith("query") for request in bench.world.requests)


def test_every_kind_reaches_the_judge(bench: Bench) -> None:
    """What each method asks for; that the answers are judged well is shown in tests/judge."""
    bench.plan()
    bench.world.unseen |= {"r", "g", 's_bucket{c="a"}', "n"}
    bench.test(
        """
        import pytest
        from pytest_rollout.errors import GateInconclusive
        CALLS = {
            "ratio": lambda gate: gate.ratio(bad='f{c="5"}', total="r", below="1%", over="1m"),
            "ratio of good": lambda gate: gate.ratio(good="g", total="r", at_least="99%", over="1m"),
            "quantile": lambda gate: gate.quantile(0.95, "s", where='c="a"', below="1s", over="1m"),
            "counter": lambda gate: gate.counter("n", at_most=0, over="1m"),
        }
        @pytest.mark.parametrize("kind", CALLS)
        def test_it(rollout_gate, kind):
            with pytest.raises(GateInconclusive) as caught:
                CALLS[kind](rollout_gate)
        """
    )

    result = bench.run("-k", "test_it")

    result.stdout.fnmatch_lines(["*4 passed*"])
    asked = {request.partition("[")[0] for request in bench.world.requests if request.startswith("query")}
    assert asked >= {'query f{c="5"}', "query g", "query r", 'query s_bucket{c="a"}', "query n"}


@pytest.mark.parametrize("order", [("fast", "slow"), ("slow", "fast")], ids=" then ".join)
def test_every_gate_of_a_test_counts_also_one_whose_breach_was_caught(bench: Bench, order: tuple[str, str]) -> None:
    bench.plan()
    bench.world.values |= {"fast": 1, "slow": 9}
    bench.test(
        f"""
        import contextlib, pytest
        @pytest.mark.stage1
        def test_it(rollout_gate):
            for name in {order!r}:
                with contextlib.suppress(AssertionError):
                    rollout_gate.promql(name, below=5)
        """
    )

    result = bench.run("-m", "stage1")

    assert (result.ret, bench.decision) == (1, "NO-GO")


def test_a_rerun_does_not_make_a_breached_gate_pass(bench: Bench) -> None:
    bench.plan()
    bench.world.values["speed"] = 9
    bench.test(
        "import pytest, urllib.request\ntries = []\n"
        "@pytest.mark.stage1\ndef test_it(rollout_gate):\n"
        "    tries.append(1)\n    rollout_gate.promql('speed' if len(tries) == 1 else 'latency', below=5)\n"
    )

    result = bench.run("-m", "stage1", "--reruns", "1")

    assert bench.world.queries("latency") == 2
    assert (result.ret, bench.decision) == (1, "NO-GO")


def test_a_test_that_fails_beside_a_passing_gate_has_failed(bench: Bench) -> None:
    bench.plan()
    bench.test(OF_STAGE.format(call='rollout_gate.promql("latency", below=5); assert 1 == 2'))

    assert bench.run("-m", "stage1").ret == 1
    assert bench.checks()["test_shop.py::test_it"] == "breached test-failed"


@pytest.mark.parametrize("marked", [True, False])
def test_windows_begin_at_the_flip_of_the_tests_own_stage(bench: Bench, marked: bool) -> None:
    # The flag was flipped just now, so no window of a minute has elapsed; without a stage there is no flip.
    bench.plan(flags=FLAGS, scrape_interval="1s")
    bench.world.flipped_at = "now"
    bench.world.values["last_over_time(speed[$window])"] = 1
    template = OF_STAGE if marked else ONE_GATE
    bench.test(template.format(call='rollout_gate.promql("last_over_time(speed[$window])", below=5, over="1m")'))

    result = bench.run("-k", "test_it")

    assert ("window-not-elapsed" in result.stdout.str()) is marked
    result.stdout.fnmatch_lines(["*1 failed*" if marked else "*1 passed*"])


def test_without_a_plan_the_fixture_says_what_it_needs(bench: Bench) -> None:
    bench.test(ONE_GATE.format(call='rollout_gate.promql("latency", below=5)'))

    result = bench.run()

    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["E*GateError: rollout_gate needs a plan: put a *.rollout.yaml in the folder of the*give that folder to pytest"]
    )


def test_the_nearest_plan_is_asked(bench: Bench) -> None:
    bench.plan(rollout="shop")
    bench.plan(rollout="till", folder="till", prometheus=None)
    for folder in ("till", "other"):
        (bench.path / folder).mkdir(exist_ok=True)
        source = ONE_GATE.format(call='rollout_gate.promql("latency", below=5)').replace("test_it", f"test_{folder}")
        (bench.path / folder / f"test_{folder}.py").write_text(source, encoding="utf-8")

    result = bench.run("-k", "test_till or test_other", "-v")

    result.stdout.fnmatch_lines(["other/test_other.py::test_other PASSED*", "till/test_till.py::test_till FAILED*"])
    result.stdout.fnmatch_lines(["*environment 'staging' names no prometheus; add it to the plan"])


def test_the_target_of_the_run(bench: Bench) -> None:
    bench.plan()
    bench.test(
        "def test_it(rollout_target):\n"
        "    print(rollout_target.url, rollout_target.environment, rollout_target.scaled(60), repr(rollout_target))"
    )

    result = bench.run("-k", "test_it", "-rP")

    result.stdout.fnmatch_lines([f"{bench.world.url} staging 60.0 Target('staging', '{bench.world.url}')"])


def test_several_targets_are_no_target(bench: Bench) -> None:
    bench.plan()
    bench.plan(rollout="till", folder="till", target="http://127.0.0.1:1")
    bench.test("def test_it(rollout_target): pass")

    result = bench.run("-k", "test_it")

    result.stdout.fnmatch_lines(["E*EnvironmentUnready: these tests see 2 targets; run the folder of one plan at a*"])


def test_a_gate_does_not_pass_when_the_flip_is_not_known(bench: Bench) -> None:
    bench.plan(flags=FLAGS)
    bench.world.values["speed"] = 1
    bench.world.flipped_at = None
    bench.test(OF_STAGE.format(call='rollout_gate.promql("speed", below=5)'))

    result = bench.run("-m", "stage1", "-k", "test_it")

    result.stdout.fnmatch_lines(["E*GateInconclusive: test_it: INCONCLUSIVE (flip-unknown)"])


def test_a_test_of_two_stages_has_no_one_flip(bench: Bench) -> None:
    stages: list[dict[str, Any]] = [
        {"stage": number, "name": "Reads", "flags": {}, "gates": [GATE]} for number in (1, 2)
    ]
    bench.write_plan({"rollout": "shop", "stages": stages})
    bench.world.values["speed"] = 1
    call = 'rollout_gate.promql("speed", below=5)'
    bench.test("import pytest\n@pytest.mark.stage1\n@pytest.mark.stage2\n" + ONE_GATE.format(call=call))

    result = bench.run("-m", "stage2")

    said = "test_it carries stage1 and stage2, which have flips of their own; write a test for each"
    result.stdout.fnmatch_lines([f"E*GateError: {said}"])
