"""The metrics: what each request moves, and that labels are bounded."""

import re
import time
from collections.abc import Callable

import httpx
import pytest

from sandbox.normalization.metrics import cardinality, cohort_label
from tests.sandbox.normalization.asking import add, companies, distribution, rise, samples, simulate, strategy

MC, ST, CO = "/api/monte-carlo/simulate", "/api/portfolio/strategies", "/api/funds/{fundId}/companies"


def validation(endpoint: str, mode: str, kind: str, result: str) -> str:
    labels = f'endpoint="{endpoint}",input_type="{kind}",mode="{mode}",result="{result}"'
    return f"stage_validation_validations_total{{{labels}}}"


def duration(endpoint: str, mode: str, kind: str, entries: str) -> str:
    labels = f'cardinality="{entries}",endpoint="{endpoint}",input_type="{kind}",mode="{mode}"'
    return f"stage_validation_duration_seconds_count{{{labels}}}"


def validated(endpoint: str, mode: str, kind: str, result: str, entries: str) -> set[str]:
    return {validation(endpoint, mode, kind, result), duration(endpoint, mode, kind, entries)}


def header(endpoint: str, kind: str) -> str:
    return f'stage_deprecation_header_emitted_total{{endpoint="{endpoint}",input_type="{kind}",mode="warn"}}'


def error(endpoint: str, code: str) -> str:
    return f'stage_validation_errors_total{{endpoint="{endpoint}",error_code="{code}",mode="enforce"}}'


TEN = {f"stage {number}": 0.1 for number in range(10)}
CASES: list[tuple[Callable[[httpx.Client], httpx.Response], set[str]]] = [
    (lambda it: simulate(it, "off", distribution("serie-b")), set()),
    (lambda it: simulate(it, "warn", distribution("seed")), validated(MC, "warn", "array", "ok", "1")),
    (
        lambda it: simulate(it, "warn", distribution("serie-b", "seed")),
        validated(MC, "warn", "array", "warn", "2-5") | {header(MC, "array")},
    ),
    (
        lambda it: simulate(it, "enforce", distribution("serie-b")),
        validated(MC, "enforce", "array", "reject", "1") | {error(MC, "INVALID_STAGE_DISTRIBUTION")},
    ),
    (
        lambda it: add(it, "warn", strategy(**TEN)),
        validated(ST, "warn", "object", "warn", "6-10") | {header(ST, "object")},
    ),
    (
        lambda it: add(it, "enforce", strategy(angel=1)),
        validated(ST, "enforce", "object", "reject", "1") | {error(ST, "INVALID_STAGE")},
    ),
    (lambda it: companies(it, "enforce", "stage=Series%20A"), validated(CO, "enforce", "query", "ok", "1")),
    (
        lambda it: companies(it, "warn", "stage=foo"),
        validated(CO, "warn", "query", "warn", "1") | {header(CO, "query")},
    ),
    (
        lambda it: companies(it, "enforce", "stage=foo"),
        validated(CO, "enforce", "query", "reject", "1") | {error(CO, "INVALID_STAGE")},
    ),
    (lambda it: companies(it, "warn", ""), set()),
    (lambda it: companies(it, "enforce", "stage=&limit=0"), set()),
    (lambda it: companies(it, "warn", "stage=foo", fund=99), set()),
    (lambda it: companies(it, "warn", "stage=foo&cursor=nonsense"), set()),
    (lambda it: simulate(it, "enforce", distribution("serie-b", weights=(0.5,))), set()),
]
"""A request, and the counters that rise by one: nothing in off, without stages, or for what is malformed."""


@pytest.mark.parametrize(("ask", "moved"), CASES)
def test_each_request_moves_its_counters_and_no_other(
    unchanged: httpx.Client, ask: Callable[[httpx.Client], httpx.Response], moved: set[str]
) -> None:
    before = samples(unchanged)
    ask(unchanged)
    assert rise(before, samples(unchanged)) == dict.fromkeys(moved, 1.0)


def test_every_counter_is_there_before_its_first_event(client: httpx.Client) -> None:
    text = client.get("/metrics").text
    for endpoint, kind, code in (
        (MC, "array", "INVALID_STAGE_DISTRIBUTION"),
        (ST, "object", "INVALID_STAGE"),
        (CO, "query", "INVALID_STAGE"),
    ):
        for mode, result in (("warn", "ok"), ("warn", "warn"), ("enforce", "ok"), ("enforce", "reject")):
            assert f"{validation(endpoint, mode, kind, result)} 0.0" in text
        assert f"{header(endpoint, kind)} 0.0" in text
        assert f"{error(endpoint, code)} 0.0" in text
    assert "# TYPE stage_validation_duration_seconds histogram" in text


def test_requests_are_counted_by_route_code_and_cohort(client: httpx.Client) -> None:
    for cohort in (None, "canary", "anything", "else"):
        client.get("/api/funds/3/companies", headers={"x-cohort": cohort} if cohort else {})
    client.get("/wp-login.php")
    client.get("/api/funds/x/companies")
    text = client.get("/metrics").text
    for labels, number in (
        (f'code="200",cohort="main",route="{CO}"', 1),
        (f'code="200",cohort="canary",route="{CO}"', 1),
        (f'code="200",cohort="other",route="{CO}"', 2),
        (f'code="400",cohort="main",route="{CO}"', 1),
        ('code="404",cohort="main",route="other"', 1),
    ):
        assert f"http_requests_total{{{labels}}} {number}.0" in text


def test_labels_do_not_grow_with_what_clients_send(client: httpx.Client) -> None:
    def ask(round_: int) -> None:
        for number in range(20):
            text = f"{round_}-{number}"
            companies(client, "warn", f"stage={text}", fund=number % 8 + 1)
            client.get(f"/{text}", headers={"x-cohort": text})
            add(client, "enforce", strategy(**{text: 1}))

    ask(1)
    before = set(samples(client))
    ask(2)
    assert set(samples(client)) == before


def test_gauges_show_the_modes(client: httpx.Client) -> None:
    def change(cohort: str, value: str) -> None:
        body = {"cohort": cohort, "value": value, "actor": "tester", "reason": "test"}
        client.put(
            "/admin/flags/STAGE_VALIDATION_MODE_STRATEGIES", json=body, headers={"authorization": "Bearer a-token"}
        )

    def shown() -> list[tuple[str, str]]:
        return re.findall(
            rf'^stage_validation_(\w*mode){{endpoint="{ST}"}} (\d)', client.get("/metrics").text, re.MULTILINE
        )

    assert shown() == [("mode", "0"), ("canary_mode", "0")]
    change("canary", "enforce")
    assert shown() == [("mode", "0"), ("canary_mode", "2")]
    change("*", "warn")
    assert shown() == [("mode", "1"), ("canary_mode", "1")]


def test_process_tells_when_it_started(client: httpx.Client) -> None:
    found = re.search(r"^process_start_time_seconds (\S+)", client.get("/metrics").text, re.MULTILINE)
    assert found
    assert time.time() - 60 < float(found[1]) < time.time()


def test_validation_is_quick_for_a_thousand_unknown_stages(client: httpx.Client) -> None:
    stages = [f"serie {number}" for number in range(1000)]
    for _ in range(3):
        simulate(client, "warn", distribution(*stages, weights=(0.001,) * 1000))
    text = client.get("/metrics").text
    total = re.search(r'^stage_validation_duration_seconds_sum\{cardinality="11\+".*\} (\S+)', text, re.MULTILINE)
    assert total
    assert float(total[1]) / 3 < 0.05


@pytest.mark.parametrize(
    ("entries", "label"),
    [(0, "unknown"), (1, "1"), (2, "2-5"), (5, "2-5"), (6, "6-10"), (10, "6-10"), (11, "11+"), (1000, "11+")],
)
def test_cardinality(entries: int, label: str) -> None:
    assert cardinality(entries) == label


@pytest.mark.parametrize(
    ("header", "label"), [(None, "main"), ("canary", "canary"), ("x" * 1000, "other"), ("main", "other")]
)
def test_cohort_label(header: str | None, label: str) -> None:
    assert cohort_label(header) == label
