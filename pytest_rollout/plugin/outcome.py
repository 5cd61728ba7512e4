"""From pytest's reports to results of checks."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from pytest_rollout.errors import GateInconclusive
from pytest_rollout.plugin.items import CHECK_PROPERTY, RESULT_PROPERTY, GateItem
from pytest_rollout.plugin.ledger import badness
from pytest_rollout.publish.redact import without_userinfo
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken, inconclusive

FAULT_PROPERTY = "rollout.fault"
"""On the report of a phase that raised: what kind of failure it was."""
TRANSPORT_PROPERTY = "rollout.transport"
"""On the same report: there if nothing but the way to the system failed."""
_DECIDED_PHASES = ("setup", "call", "teardown")


class ItemHooks:
    """Hooks around items, in every process of a run with plans."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep one item per gate: overlapping arguments may name a plan twice."""
        gates = {item.nodeid: item for item in reversed(items) if isinstance(item, GateItem)}
        items[:] = [item for item in items if gates.get(item.nodeid, item) is item]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note on a failed phase's report whether the system or the instrument failed, whatever others make of it."""
        report = yield
        if call.excinfo is not None and not isinstance(call.excinfo.value, pytest.skip.Exception):
            report.user_properties.append((FAULT_PROPERTY, classify(call.excinfo.value)))
            if is_transport_fault(call.excinfo.value):
                report.user_properties.append((TRANSPORT_PROPERTY, type(call.excinfo.value).__name__))
        return report


def classify(exc: BaseException) -> str:
    """Return ``inconclusive``, ``failed`` (the system) or ``error`` (the instrument) for an exception."""
    if isinstance(exc, BaseExceptionGroup):
        kinds = {classify(one) for one in exc.exceptions}
        return next(kind for kind in ("error", "inconclusive", "failed") if kind in kinds)
    if isinstance(exc, GateInconclusive):
        return "inconclusive"
    return "failed" if isinstance(exc, AssertionError | pytest.fail.Exception) else "error"


def is_transport_fault(exc: BaseException) -> bool:
    """Whether an exception says that the system was not reached: nothing about what it would have done.

    By name, so that neither httpx nor Playwright has to be there.
    """
    if isinstance(exc, BaseExceptionGroup):
        return all(map(is_transport_fault, exc.exceptions))
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(exc).__mro__}
    by_browser = "playwright.Error" in kinds and "net::ERR_" in str(exc) and "net::ERR_ABORTED" not in str(exc)
    return isinstance(exc, ConnectionError) or "httpx.TransportError" in kinds or by_browser


def check_keys(report: pytest.TestReport) -> list[str]:
    """Return the checks that a report is about."""
    return [str(value) for name, value in report.user_properties if name == CHECK_PROPERTY]


def is_rerun(report: pytest.TestReport) -> bool:
    """Whether pytest-rerunfailures will run this item again."""
    return str(report.outcome) == "rerun"


def result_of(report: pytest.TestReport) -> CheckResult | None:
    """Return what a report decides about its check, or None if it decides nothing.

    A setup or teardown that went well decides nothing, nor does a rerun. ``???`` is how xdist reports an item
    whose worker crashed.
    """
    if is_rerun(report):
        return None
    if report.when not in _DECIDED_PHASES:
        return broken(Reason.CRASHED, "the worker crashed while this check ran; run it again")
    if hasattr(report, "wasxfail"):
        return inconclusive(Reason.XFAILED, "marked xfail, so neither outcome proves anything; remove the mark")
    if report.outcome == "failed" or _last(report, FAULT_PROPERTY):
        return _failure(report)
    if report.outcome == "skipped":
        return inconclusive(Reason.SKIPPED, f"skipped: {_skip_reason(report)}; a skipped check proves nothing")
    return _success(report) if report.when == "call" else None


def _success(report: pytest.TestReport) -> CheckResult:
    own = _own_results(report)
    if own:
        # The worst, not the last: a breach may have been caught by the test, or undone by a rerun.
        return max(own, key=badness)
    if "rollout_gate" in report.keywords:
        return broken(Reason.TEST_ERROR, "the gate passed without having been judged; look for a plugin that runs it")
    return CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message="the test passed")


def _failure(report: pytest.TestReport) -> CheckResult:
    own = _own_results(report)
    if report.when == "call" and own and own[-1].verdict is not Verdict.PASSED:
        return own[-1]
    said = first_line(report)
    kind = _last(report, FAULT_PROPERTY)
    if kind == "failed":
        return CheckResult(verdict=Verdict.BREACHED, reason=Reason.TEST_FAILED, message=said)
    if kind == "inconclusive":
        return inconclusive(Reason.NO_DATA, said)
    return broken(Reason.TEST_ERROR, f"{report.when} failed: {said}")


def _own_results(report: pytest.TestReport) -> list[CheckResult]:
    """Return the results of the gates that the item asked, in order."""
    return [_read(str(text)) for name, text in report.user_properties if name == RESULT_PROPERTY]


def _read(text: str) -> CheckResult:
    try:
        return CheckResult.from_dict(json.loads(text))
    except (ValueError, TypeError, KeyError) as exc:
        return broken(Reason.TEST_ERROR, f"the result of the check cannot be read: {exc!r}")


def _last(report: pytest.TestReport, name: str) -> str | None:
    values = [str(value) for key, value in report.user_properties if key == name]
    return values[-1] if values else None


def first_line(report: pytest.TestReport) -> str:
    """Return what a failed report says, in one line, and without the credentials of URLs: it is kept for ever."""
    crash: Any = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message) if crash is not None else str(report.longrepr or "no explanation")
    line = text.strip().splitlines()[0] if text.strip() else "no explanation"
    return without_userinfo(line)[:300]


def _skip_reason(report: pytest.TestReport) -> str:
    longrepr = report.longrepr
    return str(longrepr[2]).removeprefix("Skipped: ") if isinstance(longrepr, tuple) else str(longrepr)
