"""Ask Prometheus: raw samples, bare values, what it scrapes and knows. answers.py reads what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from pytest_rollout.errors import QueryRefused, SourceError, SourceUnreachable
from pytest_rollout.judge.samples import Series
from pytest_rollout.sources import answers
from pytest_rollout.sources.answers import ScrapeTarget
from pytest_rollout.sources.http import Answer, Transport, retried, without_credentials

__all__ = ["Found", "Prometheus", "ScrapeTarget"]

_RETRY_BUDGET = 2.0
_NOT_NOW = 429
_SERVER_ERRORS, _CLIENT_ERRORS = 500, 400

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """What a query gave; ``warnings`` mean that the data may be partial."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class Prometheus:
    """A Prometheus-compatible HTTP API. Answers and faults are kept: the same question is asked once.

    A question takes at most 2 s and one deadline of the transport. Every method that asks raises
    SourceUnreachable (nobody answered, 429, 5xx), QueryRefused (any other 4xx) or SourceError (not an answer).
    """

    def __init__(self, url: str, http: Transport) -> None:
        self._url = url.rstrip("/")
        self._place = without_credentials(self._url)
        self._http = http
        self._known: dict[tuple[object, ...], Any] = {}
        self._skews: list[float] = []

    def raw(self, selector: str, seconds: float, at: float) -> Found:
        """Return the raw samples of a selector in the ``seconds`` before a time."""
        return self.query(f"{selector}[{max(1, round(seconds * 1000))}ms]", at)

    def query(self, expression: str, at: float) -> Found:
        """Return the series of an instant query at a time; only an expression that ends in a range may give many."""
        form = {"query": expression, "time": f"{at:.3f}"}
        asked = answers.RANGES if expression.rstrip().endswith("]") else answers.VALUES
        return self._found("/api/v1/query", form, asked)

    def query_range(self, expression: str, start: float, end: float, step: float) -> Found:
        """Return the values of an expression from start to end, one every ``step`` seconds."""
        form = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return self._found("/api/v1/query_range", form, answers.RANGES)

    def scrape_intervals(self) -> dict[str, float]:
        """Return the longest scrape interval of each job, in seconds."""
        out: dict[str, float] = {}
        for target in self.targets():
            out[target.job] = max(out.get(target.job, 0.0), target.interval)
        return out

    def targets(self) -> tuple[ScrapeTarget, ...]:
        """Return the targets that are scraped now."""
        return self._get("/api/v1/targets?state=active", answers.read_targets, "targets")

    def exporters(self, metric: str) -> frozenset[tuple[str, str]]:
        """Return (job, instance) of the live targets that know a metric, also if it has no series yet.

        The type and help that a target exposes are known before the first child of a metric is born.
        """
        found: set[tuple[str, str]] = set()
        for family, types in answers.families(metric).items():
            path = f"/api/v1/targets/metadata?metric={quote(family, safe='')}"
            told = self._get(path, answers.read_exporters, "metadata")
            found |= {(job, instance) for job, instance, kind in told if not types or kind in types}
        return frozenset(found)

    def metric_type(self, name: str) -> str | None:
        """Return ``counter``, ``gauge``, ``histogram``...; None if no live target knows, or if they disagree."""
        for family, types in answers.families(name).items():
            path = f"/api/v1/metadata?metric={quote(family, safe='')}"
            told = self._get(path, partial(answers.read_types, name=family), "metadata")
            if len(told) == 1 and (not types or told <= types):
                return next(iter(told))
        return None

    def metric_names(self, match: str | None = None) -> frozenset[str]:
        """Return the names of all metrics that are stored, or of those with series that a selector matches."""
        chosen = f"?match[]={quote(match, safe='')}" if match else ""
        return self._get(f"/api/v1/label/__name__/values{chosen}", answers.read_names, "names")

    def retention(self) -> float | None:
        """Return for how many seconds samples are kept; None if time does not limit it."""
        return self._get("/api/v1/status/runtimeinfo", answers.read_retention, "runtime information")

    def skew(self) -> float | None:
        """Return by how many seconds its clock is ahead of ours, for certain: 0.0 if the two may agree.

        The largest of all answers since the last ``forget``; None if no answer told its time.
        """
        return max(self._skews, key=abs, default=None)

    def forget(self) -> None:
        """Drop kept answers and skews, before another look at a later time."""
        self._known.clear()
        self._skews.clear()

    def _found(self, path: str, form: Mapping[str, str], asked: tuple[str, ...]) -> Found:
        def read(body: dict[str, Any]) -> Found:
            return Found(answers.read_series(body["data"], asked), answers.read_notes(body))

        return self._once("POST", path, form, read, f"an answer of unknown form to {form['query']!r}")

    def _get(self, path: str, read: Callable[[Any], T], what: str) -> T:
        def whole(body: dict[str, Any]) -> T:
            if notes := answers.read_notes(body):
                raise ValueError(f"some may be missing: {'; '.join(notes)[:200]}")
            return read(body["data"])

        return self._once("GET", path, None, whole, f"{what} of unknown form")

    def _once(
        self, method: str, path: str, form: Mapping[str, str] | None, read: Callable[[dict[str, Any]], T], fault: str
    ) -> T:
        key = (method, path, *sorted((form or {}).items()))  # so one path is always read in one way
        if key not in self._known:
            try:
                self._known[key] = read(self._ask(method, path, form))
            except SourceError as exc:
                self._known[key] = exc  # or a later gate could be told otherwise than this one, at the same instant
            except ValueError as exc:
                self._known[key] = SourceError(f"{self._place}: {fault}: {exc}")
        known = self._known[key]
        if isinstance(known, SourceError):
            raise known.with_traceback(None)
        return known  # type: ignore[no-any-return]

    def _ask(self, method: str, path: str, form: Mapping[str, str] | None) -> dict[str, Any]:
        answer = retried(lambda: self._http(method, self._url + path, form=form), budget=_RETRY_BUDGET)
        if answer.sure_skew is not None:
            self._skews.append(answer.sure_skew)
        if answer.status >= _SERVER_ERRORS or answer.status == _NOT_NOW:
            raise SourceUnreachable(f"{self._place}: HTTP {answer.status}: {_shown(answer)}")
        if answer.status >= _CLIENT_ERRORS:
            raise QueryRefused(f"{self._place}: HTTP {answer.status}: {_shown(answer)}")
        try:
            return answers.read_body(answer.text)
        except ValueError as exc:
            raise SourceError(f"{self._place}: {exc}") from exc


def _shown(answer: Answer) -> str:
    body = answers.read_json(answer.text)
    return str(body["error"]) if isinstance(body, dict) and "error" in body else answer.text.strip()[:200]
