"""Keep what sources answered, and answer the same again without them."""

from __future__ import annotations

import json as encoder
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pytest_rollout.errors import SourceError, SourceUnreachable
from pytest_rollout.sources.answers import bare_targets
from pytest_rollout.sources.http import Answer, Transport, Unchanging, without_credentials

Recorded = Mapping[str, Any]
"""A question and its answer, of what JSON can hold; see ``Recording.dump``."""
_OK = 200
_Question = tuple[str, str, str, str]


class Recording:
    """A transport that keeps the last answer to every question below a base URL.

    Neither the base URL nor headers are kept, so no credentials are. Answers about targets are handed on and kept
    without what nothing is judged by: there are credentials in it (see ``bare_targets``).
    """

    def __init__(self, http: Transport, base: str) -> None:
        self._http = http
        self._base = base.rstrip("/")
        self._kept: dict[_Question, dict[str, Any]] = {}

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Return the answer of the transport. Raises what it raises, and ValueError for a URL not below the base."""
        asked = _asked(method, _path(url, self._base), form, json)
        try:
            answer = _bare(asked["path"], self._http(method, url, form=form, json=json))
        except SourceError as exc:
            fault = str(exc).removeprefix(without_credentials(self._base))
            self._keep(asked, {"fault": fault, "unreachable": isinstance(exc, SourceUnreachable)})
            raise
        told = {"status": answer.status, "text": answer.text, "skew": answer.skew, "took": answer.took}
        self._keep(asked, told)
        return answer

    def _keep(self, asked: dict[str, Any], told: dict[str, Any]) -> None:
        self._kept[_key(asked)] = asked | told

    def dump(self) -> list[dict[str, Any]]:
        """Return what was asked and answered, as JSON can hold it, in the order of first asking.

        Each has ``method``, ``path`` with its query, ``form`` (and ``json`` if one was sent), then ``status``,
        ``text``, ``skew`` and ``took`` of the Answer, or ``fault`` and whether the source was ``unreachable``.
        """
        return [dict(one, form=dict(one["form"])) for one in self._kept.values()]

    def clear(self) -> None:
        """Drop what was kept."""
        self._kept.clear()


class Replayed:
    """A transport that answers from a recording, as if the source were at ``base``, and never waits."""

    def __init__(self, recorded: Iterable[Recorded], base: str) -> None:
        self._base = base.rstrip("/")
        self._kept = {_key(one): one for one in recorded}

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Return the recorded answer. Raises what was raised then, and SourceUnreachable for any other question."""
        asked = _asked(method, _path(url, self._base), form, json)
        place, kept = without_credentials(self._base), self._kept.get(_key(asked))
        if kept is None:
            more = "".join(f" {name}={value}" for name, value in asked["form"].items())
            raise Unchanging(f"{place}: {method} {asked['path']}{more} is not in the recording")
        if "fault" in kept:
            raise (Unchanging if kept.get("unreachable", True) else SourceError)(place + kept["fault"])
        again = float("inf")  # it would say the same
        return Answer(kept["status"], kept["text"], kept.get("skew"), kept.get("took", 0.0), again)


def _bare(path: str, answer: Answer) -> Answer:
    if answer.status != _OK or path.partition("?")[0] != "/api/v1/targets":
        return answer
    return replace(answer, text=bare_targets(answer.text))


def _path(url: str, base: str) -> str:
    if not url.startswith(f"{base}/"):
        raise ValueError(f"{without_credentials(url)} is not below {without_credentials(base)}")
    return url.removeprefix(base)


def _asked(method: str, path: str, form: Mapping[str, str] | None, json: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"method": method, "path": path, "form": dict(sorted((form or {}).items()))}
    return asked if json is None else {**asked, "json": encoder.loads(encoder.dumps(json))}


def _key(one: Recorded) -> _Question:
    form = encoder.dumps(sorted(one["form"].items()))
    return one["method"], one["path"], form, encoder.dumps(one.get("json"), sort_keys=True)
