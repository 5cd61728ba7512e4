"""Read flags over OFREP (OpenFeature Remote Evaluation Protocol 0.3).

A client of its own, because for a gate "off by error" must not look like "off": the OpenFeature SDKs swallow
faults and return the caller's default.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pytest_rollout.errors import SourceError, SourceUnreachable
from pytest_rollout.judge.history import FlagReading
from pytest_rollout.sources.answers import read_json
from pytest_rollout.sources.http import Transport, retried, without_credentials

EVALUATED = frozenset({"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"})
UNREACHABLE = "UNREACHABLE"
"""Reason of a reading for which nobody answered: the next one will not fare better."""
_RETRY_BUDGET = 2.0


class FlagReader:
    """Reads flags, booleans or texts, for a cohort. A reading takes at most 2 s and one deadline of the transport."""

    def __init__(self, url: str, http: Transport) -> None:
        self._url = url.rstrip("/")
        self._http = http
        self._skews: list[float] = []

    def read(self, flag: str, cohort: str) -> FlagReading:
        """Return what the service says; every fault is in the reading, nothing is raised."""
        try:
            return self._read(flag, cohort)
        except SourceUnreachable as exc:
            return replace(_faulty(flag, cohort, str(exc)), reason=UNREACHABLE)
        except (SourceError, ValueError) as exc:
            return _faulty(flag, cohort, str(exc))

    def skew(self) -> float | None:
        """Return by how many seconds the service's clock is ahead of ours, for certain: 0.0 if the two may agree.

        The largest of all answers since the last ``forget``; None if no answer told its time.
        """
        return max(self._skews, key=abs, default=None)

    def forget(self) -> None:
        """Drop the skews of earlier answers, before another look at a later time."""
        self._skews.clear()

    def _read(self, flag: str, cohort: str) -> FlagReading:
        url = f"{self._url}/ofrep/v1/evaluate/flags/{quote(flag, safe='')}"
        context = {"context": {"targetingKey": f"rollout-{cohort}", "cohort": cohort}}
        answer = retried(lambda: self._http("POST", url, json=context), budget=_RETRY_BUDGET)
        if answer.sure_skew is not None:
            self._skews.append(answer.sure_skew)
        if answer.status != 200:  # noqa: PLR2004 - HTTP OK
            return _faulty(
                flag, cohort, f"HTTP {answer.status} from {without_credentials(self._url)}: {answer.text.strip()[:120]}"
            )
        body = read_json(answer.text)
        if not isinstance(body, dict):
            return _faulty(flag, cohort, f"not an OFREP answer: {answer.text[:120]!r}")
        return _reading(flag, cohort, body)


def _reading(flag: str, cohort: str, body: dict[str, Any]) -> FlagReading:
    reason, value = str(body.get("reason", "")), body.get("value")
    if body.get("key") != flag:
        return _faulty(flag, cohort, f"the answer is about {body.get('key')!r}")
    if body.get("errorCode") or reason not in EVALUATED:
        return _faulty(flag, cohort, f"reason {reason or 'missing'}, {body.get('errorCode', 'no error code')}")
    if not isinstance(value, bool) and not (isinstance(value, str) and value):
        return _faulty(flag, cohort, f"the value {value!r} is neither a boolean nor a text")
    metadata = body.get("metadata")
    told: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    changed_by = told.get("changedBy")
    return FlagReading(
        flag=flag,
        cohort=cohort,
        value=value,
        reason=reason,
        changed_at=_instant(told.get("changedAt")),
        changed_by=changed_by if isinstance(changed_by, str) and changed_by.strip() else None,
    )


def _instant(text: object) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _faulty(flag: str, cohort: str, fault: str) -> FlagReading:
    return FlagReading(flag=flag, cohort=cohort, value=None, reason="ERROR", changed_at=None, fault=fault)
