"""The mode flags over HTTP: OFREP, the admin API, and that the instance follows."""

import re
from typing import Any

import httpx
import pytest

from tests.sandbox.normalization.asking import companies
from tests.sandbox.normalization.conftest import BEARER, Open

FLAG = "STAGE_VALIDATION_MODE"
ONE = "STAGE_VALIDATION_MODE_COMPANIES"
RFC3339_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def evaluate(client: httpx.Client, flag: str, cohort: str | None = None) -> dict[str, Any]:
    context = {"targetingKey": "someone"} | ({"cohort": cohort} if cohort else {})
    response = client.post(f"/ofrep/v1/evaluate/flags/{flag}", json={"context": context})
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def put(client: httpx.Client, value: str | None, *, cohort: str = "*", flag: str = FLAG) -> dict[str, Any]:
    body = {"cohort": cohort, "value": value, "actor": "tester", "reason": "test"}
    response = client.put(f"/admin/flags/{flag}", json=body, headers=BEARER)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize(
    ("flag", "body", "status", "code"),
    [
        (FLAG, b"{", 400, "PARSE_ERROR"),
        (FLAG, b"[]", 400, "PARSE_ERROR"),
        (FLAG, b"{}", 400, "INVALID_CONTEXT"),
        (FLAG, b'{"context": []}', 400, "INVALID_CONTEXT"),
        (FLAG, b'{"context": {"targetingKey": "x", "cohort": 1}}', 400, "INVALID_CONTEXT"),
        (FLAG, b'{"context": {}}', 400, "TARGETING_KEY_MISSING"),
        ("NO_SUCH_FLAG", b'{"context": {"targetingKey": "x"}}', 404, "FLAG_NOT_FOUND"),
    ],
)
def test_ofrep_failures(unchanged: httpx.Client, flag: str, body: bytes, status: int, code: str) -> None:
    response = unchanged.post(f"/ofrep/v1/evaluate/flags/{flag}", content=body)
    assert (response.status_code, response.json()["key"], response.json()["errorCode"]) == (status, flag, code)


@pytest.mark.parametrize(
    ("cohort", "value", "reason"),
    [("warn", "warn", "TARGETING_MATCH"), ("anybody", "off", "STATIC"), (None, "off", "STATIC")],
)
def test_ofrep_success(unchanged: httpx.Client, cohort: str | None, value: str, reason: str) -> None:
    answer = evaluate(unchanged, FLAG, cohort)
    assert RFC3339_MS.fullmatch(answer.pop("metadata")["changedAt"])
    assert answer == {"key": FLAG, "value": value, "variant": value, "reason": reason}


def test_flag_of_all_endpoints_is_mixed_while_they_differ(client: httpx.Client) -> None:
    put(client, "enforce", flag=ONE)
    assert (evaluate(client, FLAG)["value"], evaluate(client, ONE)["value"]) == ("mixed", "enforce")
    put(client, "enforce")
    assert evaluate(client, FLAG)["value"] == "enforce"


def test_bulk_evaluation_has_an_etag_that_changes_with_the_flags(client: httpx.Client) -> None:
    def ask(etag: str = "") -> httpx.Response:
        body = {"context": {"targetingKey": "x", "cohort": "warn"}}
        return client.post("/ofrep/v1/evaluate/flags", json=body, headers={"If-None-Match": etag})

    first = ask()
    assert [flag["value"] for flag in first.json()["flags"]] == ["warn"] * 4
    assert ask(first.headers["etag"]).status_code == 304
    put(client, "warn")
    assert ask(first.headers["etag"]).status_code == 200
    assert client.post("/ofrep/v1/evaluate/flags", json={"context": {}}).json()["errorCode"] == "TARGETING_KEY_MISSING"


@pytest.mark.parametrize("path", ["/admin/flags", "/admin/flags/audit"])
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}])
def test_admin_reads_need_the_token(unchanged: httpx.Client, path: str, header: dict[str, str]) -> None:
    assert unchanged.get(path, headers=header).status_code == 401
    assert unchanged.get(path, headers=BEARER).status_code == 200


@pytest.mark.parametrize(
    ("flag", "change", "headers", "status"),
    [
        (FLAG, {}, {}, 401),
        ("NO_SUCH_FLAG", {}, BEARER, 404),
        (FLAG, {"value": "on"}, BEARER, 400),
        (FLAG, {"value": True}, BEARER, 400),
        (FLAG, {"cohort": ""}, BEARER, 400),
        (FLAG, {"cohort": "Not A Cohort"}, BEARER, 400),
        (FLAG, {"actor": None}, BEARER, 400),
        (FLAG, {"cohort": "*", "value": None}, BEARER, 400),
        (FLAG, {}, BEARER, 200),
    ],
)
def test_change_statuses(
    client: httpx.Client, flag: str, change: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    body = {"cohort": "drill", "value": "warn", "actor": "tester", "reason": "test"} | change
    assert client.put(f"/admin/flags/{flag}", json=body, headers=headers).status_code == status


def test_changes_are_audited_and_undone_without_a_trace_in_the_values(client: httpx.Client) -> None:
    before = client.get("/admin/flags", headers=BEARER).json()
    changed = [put(client, value, cohort="drill", flag=ONE) for value in ("warn", "warn", "enforce", None)]
    after = client.get("/admin/flags", headers=BEARER).json()
    assert after["flags"] == before["flags"]
    assert after["revision"] == before["revision"] + 3, "setting what is set already is no change"
    assert changed[0] == changed[1]
    audit = client.get("/admin/flags/audit", headers=BEARER).json()[-3:]
    assert [(row["before"], row["after"]) for row in audit] == [(None, "warn"), ("warn", "enforce"), ("enforce", None)]
    assert {row["flag"] for row in audit} == {ONE}
    assert evaluate(client, ONE, "drill")["metadata"] == {"changedAt": changed[-1]["changedAt"], "changedBy": "tester"}


def test_instance_follows_the_flags(client: httpx.Client) -> None:
    def seen(cohort: str) -> int:
        return companies(client, cohort, "stage=foo").status_code

    put(client, "enforce", cohort="canary")
    assert (seen("canary"), seen("anybody")) == (400, 200)
    modes = client.get("/api/internal/modes").json()
    assert modes["instance"] == "1"
    assert modes["modes"]["companies"] == {
        "*": "off",
        "canary": "enforce",
        "enforce": "enforce",
        "off": "off",
        "warn": "warn",
    }
    put(client, "enforce")
    assert (seen("canary"), seen("anybody"), seen("off")) == (400, 400, 400), "everybody means everybody"
    put(client, "off")
    assert (seen("canary"), seen("anybody"), seen("enforce")) == (200, 200, 200)


def test_two_instances_follow_one_store_each_in_its_own_time(site: Open) -> None:
    near, far = site(number=1), site(number=2, propagation=60.0)
    put(near, "enforce")
    assert [client.get("/admin/flags", headers=BEARER).json()["revision"] for client in (near, far)] == [24, 24]
    assert [companies(client, "anybody", "stage=foo").status_code for client in (near, far)] == [400, 200]
    assert [client.get("/api/internal/modes").json()["revision"] for client in (near, far)] == [24, 12]
    assert [client.get("/api/funds/1/companies").headers["x-instance"] for client in (near, far)] == ["1", "2"]
