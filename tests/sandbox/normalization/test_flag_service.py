"""The mode flags over HTTP, as far as they differ from prisma's, and that the instance follows."""

from typing import Any

import httpx
import pytest

from tests.sandbox import flags
from tests.sandbox.flags import RFC3339_MS, evaluate
from tests.sandbox.normalization.asking import companies
from tests.sandbox.normalization.conftest import BEARER, Open

FLAG = "STAGE_VALIDATION_MODE"
ONE = "STAGE_VALIDATION_MODE_COMPANIES"


def put(client: httpx.Client, value: str | None, *, cohort: str = "*", flag: str = FLAG) -> dict[str, Any]:
    return flags.put(client, flag, value, cohort)


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


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"value": "on"}, 400),
        ({"value": True}, 400),
        ({"cohort": "Not A Cohort"}, 400),
        ({}, 200),
    ],
)
def test_change_statuses(client: httpx.Client, change: dict[str, Any], status: int) -> None:
    body = {"cohort": "drill", "value": "warn", "actor": "tester", "reason": "test"} | change
    assert client.put(f"/admin/flags/{FLAG}", json=body, headers=BEARER).status_code == status


def test_complaint_names_the_values(client: httpx.Client) -> None:
    body = {"cohort": "drill", "value": "on", "actor": "tester", "reason": "test"}
    answer = client.put(f"/admin/flags/{FLAG}", json=body, headers=BEARER)
    assert answer.json() == {"message": "value must be off, warn, enforce or null"}


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
