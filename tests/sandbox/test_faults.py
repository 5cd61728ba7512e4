"""Every fault of the application has its effect, and only its effect."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pytest_rollout.plan.loader import load_plan
from sandbox.faults import FAULTS, UnknownFaultError, check_names, turning_red
from sandbox.prisma.site import OneInAHundred
from tests.sandbox import test_money_faults

if TYPE_CHECKING:
    from tests.sandbox.conftest import Open

FLAG = "PERSISTENCE_PRISMA_READS"
BEARER = {"Authorization": "Bearer a-token"}
IN_THE_SUPERVISOR = {"prometheus-down"}
PLAN = Path(__file__).parents[2] / "canaries" / "prisma" / "prisma.rollout.yaml"


def evaluate(client: httpx.Client, cohort: str = "admin") -> httpx.Response:
    context = {"targetingKey": "someone", "cohort": cohort}
    return client.post(f"/ofrep/v1/evaluate/flags/{FLAG}", json={"context": context})


def test_unknown_fault_is_named_with_a_suggestion_and_the_list() -> None:
    with pytest.raises(UnknownFaultError) as caught:
        check_names(["slow-reads", "slow-red"])
    known = ", ".join(fault.name for fault in FAULTS)
    assert str(caught.value) == f"unknown fault 'slow-red'; did you mean 'slow-reads'?\nfaults: {known}"


def test_every_fault_of_the_application_is_tested_here_or_with_the_money() -> None:
    tested = {name[5:].replace("_", "-") for name in {*globals(), *vars(test_money_faults)} if name.startswith("test_")}
    assert {fault.name for fault in FAULTS} - IN_THE_SUPERVISOR <= tested


def test_every_fault_is_noticed_by_checks_that_the_plan_has() -> None:
    stages = load_plan(PLAN).plan.stages
    checks = {f"stage{stage.stage}/{gate.id}" for stage in stages for gate in stage.gates}
    assert {check for fault in FAULTS for check in fault.turns_red} <= checks | {"stage1/flag-state"}
    tried = [fault for stage in ("stage1", "stage2", "stage3") for fault in turning_red(stage)]
    assert sorted(tried, key=FAULTS.index) == list(FAULTS), "each in one stage, whose tests try it"


def test_dashboard_500(site: "Open") -> None:
    client = site("dashboard-500")
    broken = client.get("/")
    assert (broken.status_code, broken.content) == (500, b"")
    assert client.get("/agents").status_code == 200
    metrics = client.get("/api/internal/metrics").text
    assert 'http_requests_total{code="500",cohort="admin",route="/"} 1.0' in metrics


def test_menu_link_missing(site: "Open") -> None:
    client = site("menu-link-missing")
    html = client.get("/").text
    assert html.count('data-sidebar="menu-button"') == 6
    assert client.get("/reports").status_code == 200


def test_slow_reads(site: "Open") -> None:
    client = site("slow-reads")
    seconds = [client.get("/api/sales-partners").elapsed.total_seconds() for _ in range(10)]
    assert min(seconds) >= 0.06
    assert sum(took > 0.12 for took in seconds) >= 3


def test_errors_1pct(site: "Open") -> None:
    client = site("errors-1pct", flags=())

    def statuses(path: str, number: int, cohort: str = "admin") -> set[int]:
        return {client.get(path, headers={"x-cohort": cohort}).status_code for _ in range(number)}

    assert statuses("/api/payments?agentId=1", 9) == {200}
    assert statuses("/api/sales-partners", 95) == {200}, "the hundredth is owed, but not here"
    assert statuses("/api/payments?agentId=1", 1, cohort="staff") == {200}
    assert statuses("/api/payments?agentId=1", 1) == {500}
    assert statuses("/api/payments?agentId=1", 1) == {200}


def test_errors_1pct_is_exactly_one_in_a_hundred() -> None:
    errors = OneInAHundred(active=True)
    struck = [errors.strikes("admin", filtered=turn % 2 == 0) for turn in range(1001)]
    assert sum(struck) == 10
    assert not any(struck[1::2])


def test_payment_failure_shown_as_success(site: "Open") -> None:
    client = site("payment-failure-shown-as-success")
    before = len(client.get("/api/payments").json())
    html = client.post("/payments", data={"agentId": "1", "amount": "0"}).text
    assert '<li role="status" data-variant="default">' in html
    assert len(client.get("/api/payments").json()) == before


def test_metrics_down(site: "Open") -> None:
    client = site("metrics-down")
    assert client.get("/api/internal/metrics").status_code == 503
    assert client.get("/").status_code == 200


def test_flags_down(site: "Open") -> None:
    client = site("flags-down")
    assert evaluate(client).status_code == 503
    assert client.get("/admin/flags", headers=BEARER).status_code == 503
    assert client.get("/").headers["x-read-path"] == "facade"


def test_counter_renamed(site: "Open") -> None:
    client = site("counter-renamed")
    client.get("/agents")
    metrics = client.get("/api/internal/metrics").text
    assert re.search(r'^http_request_count_total\{.*route="/agents"\} 1.0', metrics, re.MULTILINE)
    assert "http_requests_total" not in metrics


@pytest.mark.parametrize("cohort", ["admin", "drill"])
def test_kill_switch_stuck(site: "Open", cohort: str) -> None:
    client = site("kill-switch-stuck")
    for value in (True, False):
        body = {"cohort": cohort, "value": value, "actor": "tester", "reason": "test"}
        client.put(f"/admin/flags/{FLAG}", json=body, headers=BEARER)
    assert evaluate(client, cohort).json()["value"] is False
    assert client.get("/api/agents", headers={"x-cohort": cohort}).headers["x-read-path"] == "facade"
    assert client.get("/api/agents", headers={"x-cohort": "staff"}).headers["x-read-path"] == "legacy"


def test_row_count_wrong(site: "Open") -> None:
    client = site("row-count-wrong")
    assert client.get("/invoices").text.count("<tr><td") == 66
    assert client.get("/invoices", headers={"x-cohort": "staff"}).text.count("<tr><td") == 67
    assert len(client.get("/api/invoices").json()) == 67


def test_flag_lost(site: "Open") -> None:
    client = site("flag-lost")
    answer = evaluate(client).json()
    assert (answer["value"], answer["reason"]) == (False, "STATIC")
    assert client.get("/").headers["x-read-path"] == "facade"


def test_portal_slow(site: "Open") -> None:
    client = site("portal-slow")
    assert min(client.get("/portal/1").elapsed.total_seconds() for _ in range(3)) >= 0.25
    slow = 'portal_response_duration_seconds_bucket{le="0.25",route="portal/[agentId]"} 0.0'
    assert slow in client.get("/api/internal/metrics").text


def test_portal_errors_10pct(site: "Open") -> None:
    client = site("portal-errors-10pct")
    assert [client.get(f"/portal/{agent}").status_code for agent in range(1, 21)] == ([200] * 9 + [500]) * 2
    assert {client.get("/agents/1").status_code for _ in range(10)} == {200}


def test_portal_hung(site: "Open") -> None:
    client = site("portal-hung")
    with pytest.raises(httpx.ReadTimeout):
        client.get("/portal/1", timeout=1)
    assert client.get("/agents/1").status_code == 200
