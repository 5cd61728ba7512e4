"""From one report to the result of a check."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from pytest_rollout.errors import GateError, GateInconclusive
from pytest_rollout.plugin.outcome import classify, is_transport_fault, result_of
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

BREACH = CheckResult(verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED, message="too much")
DOUBT = inconclusive(Reason.NO_DATA, "nothing there")


def report(when: Any, outcome: Any, *own: CheckResult, fault: str = "", **more: Any) -> pytest.TestReport:
    properties = [("rollout.result", json.dumps(one.to_dict())) for one in own]
    properties += [("rollout.fault", fault)] if fault else []
    return pytest.TestReport(
        nodeid="test_shop.py::test_it",
        location=("test_shop.py", 1, "test_it"),
        keywords=more.pop("keywords", {}),
        outcome=outcome,
        longrepr=more.pop("longrepr", "AssertionError: no\nmore lines" if outcome == "failed" else None),
        when=when,
        user_properties=properties,
        **more,
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (report("call", "passed"), "passed within-limit"),
        (report("call", "passed", BREACH), "breached limit-breached"),
        (report("call", "passed", DOUBT, BREACH), "breached limit-breached"),
        (report("call", "passed", keywords={"rollout_gate": 1}), "error test-error"),
        (report("call", "passed", fault="failed"), "breached test-failed"),
        (report("call", "failed", fault="failed"), "breached test-failed"),
        (report("call", "failed", fault="error"), "error test-error"),
        (report("call", "failed", fault="inconclusive"), "inconclusive no-data"),
        (report("call", "failed"), "error test-error"),
        (report("call", "failed", BREACH, DOUBT, fault="inconclusive"), "inconclusive no-data"),
        (report("setup", "failed", BREACH, fault="error"), "error test-error"),
        (report("teardown", "failed", BREACH, fault="error"), "error test-error"),
        (report("setup", "skipped", longrepr=("x.py", 1, "Skipped: later")), "inconclusive skipped"),
        (report("call", "passed", wasxfail=""), "inconclusive xfailed"),
        (report("call", "skipped", wasxfail="known", fault="failed"), "inconclusive xfailed"),
        (report("???", "failed"), "error crashed"),
        (report("???", "passed"), "error crashed"),
        (report("setup", "passed"), None),
        (report("teardown", "passed"), None),
        (report("call", "rerun"), None),
        (report("setup", "rerun", fault="error"), None),
    ],
)
def test_result_of(said: pytest.TestReport, expected: str | None) -> None:
    result = result_of(said)

    assert (f"{result.verdict} {result.reason}" if result else None) == expected


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"verdict": "splendid"}', "null"])
def test_a_result_that_cannot_be_read_is_an_error(text: str) -> None:
    said = report("call", "passed")
    said.user_properties.append(("rollout.result", text))

    result = result_of(said)

    assert result is not None
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.TEST_ERROR)


@pytest.mark.parametrize(
    ("longrepr", "message"),
    [
        ("AssertionError: no\nmore lines", "AssertionError: no"),
        ("x" * 400, "x" * 300),
        (None, "no explanation"),
        ("", "no explanation"),
        (" \n ", "no explanation"),
    ],
)
def test_the_message_is_one_line(longrepr: str | None, message: str) -> None:
    result = result_of(report("call", "failed", fault="failed", longrepr=longrepr))

    assert result is not None
    assert result.message == message


@pytest.mark.parametrize(
    ("exception", "kind"),
    [
        (AssertionError(), "failed"),
        (pytest.fail.Exception("no"), "failed"),
        (OSError(), "error"),
        (KeyboardInterrupt(), "error"),
        (GateInconclusive(), "inconclusive"),
        (GateError(), "error"),
        (ExceptionGroup("x", [AssertionError(), GateInconclusive()]), "inconclusive"),
        (ExceptionGroup("x", [AssertionError(), ExceptionGroup("y", [OSError()])]), "error"),
        (ExceptionGroup("x", [AssertionError()]), "failed"),
    ],
    ids=repr,
)
def test_classify(exception: BaseException, kind: Literal["failed", "error", "inconclusive"]) -> None:
    assert classify(exception) == kind


class TransportError(Exception):
    """Stands for ``httpx.TransportError``: known by name."""


TransportError.__module__ = "httpx._exceptions"


class ConnectTimeout(TransportError):  # noqa: N818 - the name it has there
    """A kind of it."""


class Error(Exception):
    """Stands for Playwright's."""


Error.__module__ = "playwright._impl._errors"


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (ConnectTimeout("slow"), True),
        (ConnectionRefusedError("no"), True),
        (Error("Page.goto: net::ERR_CONNECTION_REFUSED at http://127.0.0.1:1/"), True),
        (Error("Page.goto: net::ERR_ABORTED"), False),
        (Error("Locator.click: Timeout 30000ms exceeded."), False),
        (ExceptionGroup("two", [ConnectTimeout("a"), ConnectionResetError("b")]), True),
        (ExceptionGroup("two", [ConnectTimeout("a"), AssertionError("b")]), False),
        (AssertionError("net::ERR_CONNECTION_REFUSED"), False),
        (TimeoutError("slow"), False),
        (OSError("disk"), False),
    ],
)
def test_transport_faults_are_told_by_their_kind(exc: BaseException, expected: bool) -> None:
    assert is_transport_fault(exc) is expected
