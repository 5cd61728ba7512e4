"""Read Prometheus: raw samples, bare values, scrape intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_rollout.errors import QueryRefused, SourceError, SourceUnreachable
from pytest_rollout.judge.samples import Series
from pytest_rollout.sources.http import Transport, retried, without_credentials
from pytest_rollout.units import parse_duration

_RETRY_BUDGET = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a query gave; ``warnings`` mean that the data may be partial."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class Prometheus:
    """A Prometheus-compatible HTTP API. Answers are kept per instance: the same question is asked once."""

    def __init__(self, url: str, http: Transport) -> None:
        self._url = url.rstrip("/")
        self._place = without_credentials(self._url)
        self._http = http
        self._known: dict[tuple[str, float], Found] = {}

    def raw(self, selector: str, seconds: float, at: float) -> Found:
        """Return the raw samples of a selector in the ``seconds`` before a time.

        Raises QueryRefused or SourceUnreachable.
        """
        return self.query(f"{selector}[{max(1, round(seconds * 1000))}ms]", at)

    def query(self, expression: str, at: float) -> Found:
        """Return the series of an instant query at a time. Raises QueryRefused or SourceUnreachable."""
        key = (expression, at)
        if key not in self._known:
            self._known[key] = self._query(expression, at)
        return self._known[key]

    def forget(self) -> None:
        """Drop kept answers, before another look at a later time."""
        self._known.clear()

    def _query(self, expression: str, at: float) -> Found:
        form = {"query": expression, "time": f"{at:.3f}"}
        body = self._ask("POST", "/api/v1/query", form)
        data = body["data"]
        try:
            series = tuple(_series(data["resultType"], data["result"]))
        except (KeyError, TypeError, ValueError, IndexError) as exc:
            raise SourceError(f"{self._place}: an answer of unknown form to {expression!r}: {exc!r}") from exc
        notes = (*(body.get("warnings") or ()), *(body.get("infos") or ()))
        return Found(series, tuple(str(note) for note in notes))

    def scrape_intervals(self) -> dict[str, float]:
        """Return the longest scrape interval of each job, in seconds. Raises SourceError."""
        body = self._ask("GET", "/api/v1/targets?state=active", None)
        out: dict[str, float] = {}
        try:
            for target in body["data"].get("activeTargets", ()):
                job = str(target["labels"].get("job", ""))
                out[job] = max(out.get(job, 0.0), parse_duration(target["scrapeInterval"]))
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise SourceError(f"{self._place}: targets of unknown form: {exc!r}") from exc
        return out

    def _ask(self, method: str, path: str, form: Mapping[str, str] | None) -> dict[str, Any]:
        answer = retried(lambda: self._http(method, self._url + path, form=form), budget=_RETRY_BUDGET)
        try:
            body = json.loads(answer.text)
        except ValueError:
            body = None
        if answer.status >= 500:  # noqa: PLR2004 - HTTP server errors
            raise SourceUnreachable(f"{self._place}: HTTP {answer.status}: {_shown(body, answer.text)}")
        if answer.status >= 400:  # noqa: PLR2004 - HTTP client errors
            raise QueryRefused(f"{self._place}: HTTP {answer.status}: {_shown(body, answer.text)}")
        if not isinstance(body, dict) or body.get("status") != "success" or "data" not in body:
            raise SourceError(f"{self._place}: not an answer of Prometheus: {answer.text[:120]!r}")
        return body


def _series(kind: str, result: Any) -> list[Series]:
    if kind == "scalar":
        return [Series({}, (_sample(result),))]
    if kind == "vector":
        return [Series(dict(one["metric"]), (_sample(one["value"]),)) for one in result]
    if kind == "matrix":
        return [Series(dict(one["metric"]), tuple(_sample(pair) for pair in one["values"])) for one in result]
    raise ValueError(f"result type {kind!r}")


def _sample(pair: Any) -> tuple[float, float]:
    at, value = pair
    return float(at), float(value)


def _shown(body: Any, text: str) -> str:
    return str(body["error"]) if isinstance(body, dict) and "error" in body else text.strip()[:200]
