"""Bodies and headers to the letter: deprecation, rejection, malformed requests, correlation ids."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sandbox.normalization.stages import CANONICAL
from tests.sandbox.normalization.asking import add, companies, deprecation, distribution, simulate, strategy
from tests.sandbox.normalization.conftest import MODES

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
VALID = list(CANONICAL)


def test_deprecation_headers_follow_their_standards(unchanged: httpx.Client) -> None:
    headers = deprecation(simulate(unchanged, "warn", distribution("serie-b", "seed", "whatever", "serie-b")))
    assert headers == {
        "deprecation": ["@1751328000"],
        "sunset": ["Mon, 31 Dec 2035 23:59:59 GMT"],
        "link": ['</docs/stages>; rel="deprecation"; type="text/html"'],
        "x-stage-deprecated-variants": ["series-b, unknown"],
        "x-stage-sunset": ["2035-12-31T23:59:59Z"],
        "x-stage-docs": ["/docs/stages"],
    }
    sunset = parsedate_to_datetime(headers["sunset"][0])
    assert sunset.strftime("%a") == "Mon"
    assert datetime.fromtimestamp(1751328000, UTC) < datetime.now(UTC) < sunset


def test_link_leads_to_a_page(unchanged: httpx.Client) -> None:
    page = unchanged.get("/docs/stages")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert all(f"<li>{stage}</li>" in page.text for stage in CANONICAL)


def test_variants_never_hold_the_clients_text(unchanged: httpx.Client) -> None:
    texts = ["evil\r\nx-injected: 1", "serie-a", "\N{SNOWMAN}", "see"]
    headers = deprecation(simulate(unchanged, "warn", distribution(*texts)))
    assert headers["x-stage-deprecated-variants"] == ["seed, series-a, unknown"]


def test_deprecations_are_listed(unchanged: httpx.Client) -> None:
    (entry,) = unchanged.get("/api/deprecations").json()["deprecations"]
    assert entry == {
        "id": "stage-variants",
        "deprecatedAt": "2025-07-01T00:00:00Z",
        "sunsetAt": "2035-12-31T23:59:59Z",
        "docs": "/docs/stages",
        "validStages": VALID,
        "endpoints": ["/api/monte-carlo/simulate", "/api/portfolio/strategies", "/api/funds/{fundId}/companies"],
    }


def test_error_bodies_of_enforce(unchanged: httpx.Client) -> None:
    found = {"invalid": ["serie-b", "angel"], "suggestions": {"serie-b": "series-b"}, "validStages": VALID}
    simulation = simulate(unchanged, "enforce", distribution("serie-b", "seed", "angel", "serie-b")).json()
    allocation = add(unchanged, "enforce", strategy(**{"serie-b": 0.5, "angel": 0.25, "seed": 0.25})).json()
    query = companies(unchanged, "enforce", "stage=serie-b").json()
    assert all(UUID4.fullmatch(body.pop("correlationId")) for body in (simulation, allocation, query))
    assert simulation == {
        "error": "INVALID_STAGE_DISTRIBUTION",
        "message": "stageDistribution holds unknown stages",
        "details": found,
    }
    assert allocation == {
        "error": "Invalid stage allocation",
        "message": "stageAllocation holds unknown stages",
        "details": {"code": "INVALID_STAGE", **found},
    }
    assert query == {
        "error": "invalid_query_parameters",
        "message": "stage is unknown",
        "details": {"code": "INVALID_STAGE", **found, "invalid": ["serie-b"]},
    }


def test_at_most_twenty_unknown_stages_are_named(unchanged: httpx.Client) -> None:
    stages = [f"stage {number}" for number in range(1000)]
    answer = simulate(unchanged, "enforce", distribution(*stages, weights=(0.001,) * 1000))
    assert answer.json()["details"]["invalid"] == stages[:20]
    assert simulate(unchanged, "warn", distribution(*stages, weights=(0.001,) * 1000)).status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1.2_3", True), ("x" * 64, True), ("x" * 65, False), ("<script>", False), ("", False)]
)
def test_correlation_id_is_the_clients_if_it_is_harmless(unchanged: httpx.Client, given: str, kept: bool) -> None:
    headers = {"x-correlation-id": given, "x-cohort": "enforce"}
    answer = unchanged.get("/api/funds/1/companies?stage=foo", headers=headers)
    correlation_id = answer.json()["correlationId"]
    assert answer.headers["x-correlation-id"] == correlation_id
    assert (correlation_id == given) if kept else UUID4.fullmatch(correlation_id)


def patched(body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the body with some fields replaced, those that are ... left out."""
    return {name: value for name, value in (body | fields).items() if value is not ...}


ORDER, PLAN = distribution("seed"), strategy(seed=1)
LONE_SURROGATE = json.dumps(distribution("\ud800")).encode()
MALFORMED_SIMULATIONS = [
    (b"", "NOT_JSON", ""),
    (b"{", "NOT_JSON", ""),
    (b"\xff", "NOT_JSON", ""),
    (b"[" * 100_000, "NOT_JSON", ""),
    (b'{"runs": NaN}', "NOT_JSON", ""),
    (b'{"runs": 1, "runs": 2}', "NOT_JSON", ""),
    (b'{"runs": 1e99999999999999999999}', "NOT_JSON", ""),
    (b"[]", "WRONG_TYPE", ""),
    (LONE_SURROGATE, "WRONG_TYPE", "/stageDistribution/0/stage"),
    (patched(ORDER, runs=...), "MISSING", "/runs"),
    (patched(ORDER, runs="20"), "WRONG_TYPE", "/runs"),
    (patched(ORDER, runs=True), "WRONG_TYPE", "/runs"),
    (patched(ORDER, runs=1.5), "WRONG_TYPE", "/runs"),
    (patched(ORDER, runs=0), "OUT_OF_RANGE", "/runs"),
    (patched(ORDER, runs=10_001), "OUT_OF_RANGE", "/runs"),
    (patched(ORDER, fundId=10**30), "OUT_OF_RANGE", "/fundId"),
    (patched(ORDER, timeHorizonYears=31), "OUT_OF_RANGE", "/timeHorizonYears"),
    (patched(ORDER, secret="x"), "UNKNOWN_FIELD", ""),
    (patched(ORDER, stageDistribution=None), "WRONG_TYPE", "/stageDistribution"),
    (patched(ORDER, stageDistribution=[]), "OUT_OF_RANGE", "/stageDistribution"),
    (
        patched(ORDER, stageDistribution=[{"stage": "seed", "weight": 0.001}] * 1001),
        "OUT_OF_RANGE",
        "/stageDistribution",
    ),
    (patched(ORDER, stageDistribution=[{"weight": 1}]), "MISSING", "/stageDistribution/0/stage"),
    (distribution("seed", weights=("1",)), "WRONG_TYPE", "/stageDistribution/0/weight"),
    (distribution("seed", "seed", weights=(-0.5, 1.5)), "OUT_OF_RANGE", "/stageDistribution/0/weight"),
    (distribution("seed", weights=(1e308,)), "OUT_OF_RANGE", "/stageDistribution/0/weight"),
    (distribution(""), "OUT_OF_RANGE", "/stageDistribution/0/stage"),
    (distribution(" \t "), "OUT_OF_RANGE", "/stageDistribution/0/stage"),
    (distribution("x" * 101), "OUT_OF_RANGE", "/stageDistribution/0/stage"),
    (distribution("seed", weights=(0.9,)), "SUM_NOT_ONE", "/stageDistribution"),
    (distribution("serie-b", weights=(0.9,)), "SUM_NOT_ONE", "/stageDistribution"),
]
MALFORMED_STRATEGIES = [
    (patched(PLAN, name=""), "OUT_OF_RANGE", "/name"),
    (patched(PLAN, modelType="daring"), "OUT_OF_RANGE", "/modelType"),
    (patched(PLAN, checkSizeRange={"min": 2, "max": 1}), "OUT_OF_RANGE", "/checkSizeRange"),
    (patched(PLAN, checkSizeRange={"min": 2}), "MISSING", "/checkSizeRange/max"),
    (patched(PLAN, sectorAllocation={"x": 0.5}), "SUM_NOT_ONE", "/sectorAllocation"),
    (strategy(), "OUT_OF_RANGE", "/stageAllocation"),
    (strategy(seed=0.5), "SUM_NOT_ONE", "/stageAllocation"),
    (patched(PLAN, stageAllocation={"my-secret": "x"}), "WRONG_TYPE", "/stageAllocation"),
    (patched(PLAN, stageAllocation={"x" * 101: 1}), "OUT_OF_RANGE", "/stageAllocation"),
    (patched(PLAN, stageAllocation=[["seed", 1]]), "WRONG_TYPE", "/stageAllocation"),
]
MALFORMED_COMPANIES = [
    ("stage=", "OUT_OF_RANGE", "/stage"),
    (f"stage={'x' * 101}", "OUT_OF_RANGE", "/stage"),
    ("stage=seed&stage=seed", "REPEATED", "/stage"),
    ("limit=0", "OUT_OF_RANGE", "/limit"),
    ("limit=101", "OUT_OF_RANGE", "/limit"),
    ("limit=ten", "WRONG_TYPE", "/limit"),
    ("limit=%D9%A1", "WRONG_TYPE", "/limit"),
    ("cursor=nonsense", "BAD_CURSOR", "/cursor"),
    ("cursor=%00", "BAD_CURSOR", "/cursor"),
    ("my-secret=1", "UNKNOWN_FIELD", ""),
]


def assert_malformed(answers: list[httpx.Response], code: str, pointer: str) -> None:
    assert [answer.status_code for answer in answers] == [400] * len(MODES)
    assert not any(deprecation(answer) for answer in answers)
    for answer in answers:
        body = answer.json()
        assert (body["error"], body["details"]) == ("malformed_request", {"code": code, "pointer": pointer})
        assert set(body) == {"error", "message", "details", "correlationId"}
        assert "secret" not in answer.text, "nothing of the request is sent back"


@pytest.mark.parametrize(("body", "code", "pointer"), MALFORMED_SIMULATIONS)
def test_malformed_simulation_is_400_in_every_mode(
    unchanged: httpx.Client, body: bytes | dict[str, Any], code: str, pointer: str
) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    path = "/api/monte-carlo/simulate"
    assert_malformed([unchanged.post(path, headers={"x-cohort": mode}, **sent) for mode in MODES], code, pointer)


@pytest.mark.parametrize(("body", "code", "pointer"), MALFORMED_STRATEGIES)
def test_malformed_strategy_is_400_in_every_mode(
    unchanged: httpx.Client, body: dict[str, Any], code: str, pointer: str
) -> None:
    assert_malformed([add(unchanged, mode, body) for mode in MODES], code, pointer)


@pytest.mark.parametrize(("query", "code", "pointer"), MALFORMED_COMPANIES)
def test_malformed_query_is_400_in_every_mode(unchanged: httpx.Client, query: str, code: str, pointer: str) -> None:
    assert_malformed([companies(unchanged, mode, query) for mode in MODES], code, pointer)


@pytest.mark.parametrize("fund", ["abc", "0", "-1", "1.0", "9999999999", "%20"])
def test_fund_that_is_no_id_is_malformed(unchanged: httpx.Client, fund: str) -> None:
    answers = [companies(unchanged, mode, "", fund) for mode in MODES]
    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["details"]["pointer"] for answer in answers} == {"/fundId"}


@pytest.mark.parametrize("mode", MODES)
def test_unknown_fund_is_404(unchanged: httpx.Client, mode: str) -> None:
    answers = [
        companies(unchanged, mode, "stage=foo", 99),
        simulate(unchanged, mode, patched(ORDER, fundId=99)),
        unchanged.post("/api/portfolio/strategies?fundId=99", json=PLAN, headers={"x-cohort": mode}),
        unchanged.get("/api/portfolio/strategies?fundId=99"),
    ]
    assert [(answer.status_code, answer.json()["details"]) for answer in answers] == [
        (404, {"code": "FUND_NOT_FOUND"})
    ] * 4


def test_large_body_is_refused(unchanged: httpx.Client) -> None:
    answer = unchanged.post("/api/monte-carlo/simulate", content=b" " * (1 << 20) + b"{}")
    assert (answer.status_code, answer.json()["details"]) == (413, {"code": "TOO_LARGE", "pointer": ""})


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/api/deprecations", 405)])
def test_unknown_path_and_method(unchanged: httpx.Client, method: str, path: str, status: int) -> None:
    answer = unchanged.request(method, path)
    assert answer.status_code == status
    assert answer.json()["details"] == {}
    assert answer.json()["correlationId"] == answer.headers["x-correlation-id"]
