"""The flag service: OFREP's answers for every kind of request, and the admin API."""

from typing import Any

import httpx
import pytest

from tests.sandbox import flags
from tests.sandbox.flags import BEARER, RFC3339_MS

FLAG = "PERSISTENCE_PRISMA_READS"


def evaluate(client: httpx.Client, cohort: str | None, flag: str = FLAG) -> dict[str, Any]:
    return flags.evaluate(client, flag, cohort)


def put(client: httpx.Client, value: bool | None, *, cohort: str = "drill") -> dict[str, Any]:
    return flags.put(client, FLAG, value, cohort)


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
    assert response.status_code == status
    assert response.json()["key"] == flag
    assert response.json()["errorCode"] == code
    assert response.json()["errorDetails"]


@pytest.mark.parametrize(
    ("cohort", "value", "reason"),
    [("admin", True, "TARGETING_MATCH"), ("staff", False, "STATIC"), (None, False, "STATIC")],
)
def test_ofrep_success(unchanged: httpx.Client, cohort: str | None, value: bool, reason: str) -> None:
    answer = evaluate(unchanged, cohort)
    assert {name: answer[name] for name in ("key", "value", "reason")} == {
        "key": FLAG,
        "value": value,
        "reason": reason,
    }
    assert RFC3339_MS.fullmatch(answer["metadata"]["changedAt"])
    assert answer["metadata"]["changedBy"] == "sandbox"


def test_bulk_evaluation_has_an_etag_that_changes_with_the_flags(client: httpx.Client) -> None:
    def ask(etag: str = "") -> Any:
        body = {"context": {"targetingKey": "x", "cohort": "admin"}}
        return client.post("/ofrep/v1/evaluate/flags", json=body, headers={"If-None-Match": etag})

    first = ask()
    assert [flag["value"] for flag in first.json()["flags"]] == [True, False, False, False]
    assert ask(first.headers["etag"]).status_code == 304
    put(client, value=True)
    assert ask(first.headers["etag"]).status_code == 200


def test_bulk_evaluation_without_targeting_key_names_no_flag(unchanged: httpx.Client) -> None:
    response = unchanged.post("/ofrep/v1/evaluate/flags", json={"context": {}})
    assert response.status_code == 400
    assert response.json()["errorCode"] == "TARGETING_KEY_MISSING"
    assert "key" not in response.json()


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
        (FLAG, {"value": "true"}, BEARER, 400),
        (FLAG, {"cohort": ""}, BEARER, 400),
        (FLAG, {"actor": None}, BEARER, 400),
        (FLAG, {"cohort": "*", "value": None}, BEARER, 400),
        (FLAG, {}, BEARER, 200),
    ],
)
def test_change_statuses(
    client: httpx.Client, flag: str, change: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    body = {"cohort": "drill", "value": True, "actor": "tester", "reason": "test"} | change
    assert client.put(f"/admin/flags/{flag}", json=body, headers=headers).status_code == status


def test_changes_are_audited_and_undone_without_a_trace_in_the_values(client: httpx.Client) -> None:
    before = client.get("/admin/flags", headers=BEARER).json()
    default_since = evaluate(client, "drill")["metadata"]["changedAt"]
    changed = [put(client, value=value) for value in (True, True, False, None)]
    after = client.get("/admin/flags", headers=BEARER).json()

    assert after["flags"] == before["flags"]
    assert after["revision"] == before["revision"] + 3, "setting what is set already is no change"
    assert changed[0] == changed[1]
    metadata = evaluate(client, "drill")["metadata"]
    assert metadata == {"changedAt": changed[-1]["changedAt"], "changedBy": "tester"}
    assert evaluate(client, "staff")["metadata"]["changedAt"] == default_since
    audit = client.get("/admin/flags/audit", headers=BEARER).json()
    assert [(row["before"], row["after"]) for row in audit[-3:]] == [(None, True), (True, False), (False, None)]
    assert {"id", "flag", "cohort", "before", "after", "actor", "reason", "at"} == set(audit[-1])


def test_application_follows_the_flag(client: httpx.Client) -> None:
    def path() -> str:
        return client.get("/api/agents", headers={"x-cohort": "drill"}).headers["x-read-path"]

    seen = [path()]
    for value in (True, False, None):
        put(client, value=value)
        seen.append(path())
    assert seen == ["legacy", "facade", "legacy", "legacy"]


def test_default_applies_to_cohorts_without_a_rule(client: httpx.Client) -> None:
    put(client, value=True, cohort="*")
    assert evaluate(client, "anybody")["value"] is True
    put(client, value=False, cohort="anybody")
    assert evaluate(client, "anybody")["value"] is False
