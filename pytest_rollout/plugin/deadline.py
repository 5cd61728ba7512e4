"""The inner deadline of a canary: its test is cut short while there is time left for screenshots and tidying up."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Generator, Mapping
from typing import Any

import pytest

from pytest_rollout.canary import DEADLINE_VARIABLE, GRACE, INNER_SHARE, STARTED_VARIABLE
from pytest_rollout.units import format_duration


class CanaryCutShort(BaseException):
    """A test had to end before it was done. No Exception, so that no retry in a test swallows it."""

    __module__ = "builtins"  # reports name it without a path, as they do pytest's own outcomes


def inner_end(variables: Mapping[str, str]) -> float | None:
    """Return when this process meets its inner deadline, by the monotonic clock; None if it has none."""
    if DEADLINE_VARIABLE not in variables:
        return None
    now = time.time()
    age = now - float(variables.get(STARTED_VARIABLE, now))
    return time.monotonic() - age + float(variables[DEADLINE_VARIABLE])


class Deadline:
    """Makes the running test fail at the inner deadline, or as soon as the process is asked to end by SIGTERM.

    Setup and call are cut short; teardown never is. A process that hangs all the same, and whose parent is gone, so
    that nobody kills it, ends by itself a moment after its outer deadline: leases rely on that.
    """

    def __init__(self, ends_at: float, seconds: float) -> None:
        self._ends_at = ends_at
        self._inner = seconds
        self._outer = seconds / INNER_SHARE
        self._cut: CanaryCutShort | None = None
        self._in_phase = False
        self._asked_to_end = False
        self._previous: Any = None
        self._stderr = -1
        self._browser: Any = None
        self.overran = False
        """Whether a test was cut short by the deadline, or not begun any more."""

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Deadline | None:
        """Return the deadline that this process was given, if any."""
        ends_at = inner_end(variables)
        return None if ends_at is None else cls(ends_at, float(variables[DEADLINE_VARIABLE]))

    @property
    def _reserve(self) -> float:
        return self._outer - self._inner

    def pytest_configure(self) -> None:
        """Listen to SIGTERM, and have the process ended if nothing else does."""
        self._previous = signal.signal(signal.SIGTERM, self._on_signal)
        left = max(self._ends_at - time.monotonic(), 0.0)
        # A thread in C, which needs nothing of the interpreter. The copy is of what pytest captures later.
        self._stderr = os.dup(2)
        faulthandler.dump_traceback_later(left + self._reserve + GRACE, exit=True, file=self._stderr)

    def pytest_unconfigure(self) -> None:
        """Undo it."""
        faulthandler.cancel_dump_traceback_later()
        os.close(self._stderr)
        signal.signal(signal.SIGTERM, self._previous)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Remember Playwright's browser: fixtures that a test asks for by name are told of nowhere else."""
        made = yield
        if fixturedef.argname == "browser":
            self._browser = made
        return made

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, None, None]:
        """Cut setup short."""
        yield from self._bounded()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, None, None]:
        """Cut the test short."""
        yield from self._bounded()

    def _bounded(self) -> Generator[None, None, None]:
        self._cut = None
        before = signal.signal(signal.SIGALRM, self._on_signal)
        try:
            self._begin()
            yield
        except BaseException as exc:
            if self._cut is None:
                raise
            _stop_loading(self._browser)
            raise self._cut from exc  # whatever the test made of it
        finally:
            self._in_phase = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if self._cut is not None:  # the test caught it
            raise self._cut

    def _begin(self) -> None:
        self._in_phase = True
        left = self._ends_at - time.monotonic()
        if self._asked_to_end or left <= 0:
            self._on_signal()
        # Once more, in case that a test catches the first.
        signal.setitimer(signal.ITIMER_REAL, left, self._reserve / 2)

    def _on_signal(self, number: int | None = None, _frame: object = None) -> None:
        self._asked_to_end = self._asked_to_end or number == signal.SIGTERM
        if self._in_phase:
            self._cut_short(number == signal.SIGALRM or time.monotonic() >= self._ends_at)

    def _cut_short(self, overran: bool) -> None:
        self.overran = self.overran or overran
        again, self._cut = self._cut is not None, CanaryCutShort(self._why(overran))
        test = _suspended_test()
        if test is None or again:
            raise self._cut
        # Raising here would end Playwright's event loop, which the screenshot needs.
        asyncio.get_running_loop().call_soon_threadsafe(test.throw, self._cut)

    def _why(self, overran: bool) -> str:
        if not overran:
            return "the canary was asked to end by SIGTERM: its scheduler stops, or is gone"
        inner, outer = format_duration(self._inner), format_duration(self._outer)
        return (
            f"the canary met its inner deadline of {inner}; the rest of its {outer} is for screenshots and tidying up"
        )


def _stop_loading(browser: Any) -> None:
    """Have Chromium give up what its pages wait for: while one is on its way elsewhere, there is no picture of it."""
    with contextlib.suppress(Exception, CanaryCutShort):  # it is another browser, or one that hangs itself
        for context in browser.contexts if browser is not None else ():
            for page in context.pages:
                context.new_cdp_session(page).send("Page.stopLoading")


def _suspended_test() -> Any:
    """Return the greenlet of pytest if another one is running, as Playwright's does while a test waits for it."""
    greenlet = sys.modules.get("greenlet")
    if greenlet is None or greenlet.getcurrent().parent is None:
        return None
    root = greenlet.getcurrent()
    while root.parent is not None:
        root = root.parent
    return root
