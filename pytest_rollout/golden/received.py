"""What a case's file would be if the answers received were right."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_rollout.golden.bodies import Trial
from pytest_rollout.golden.case import PINS
from pytest_rollout.golden.evaluate import Batches
from pytest_rollout.golden.exact import MISSING, write_pretty
from pytest_rollout.golden.wire import Reply

_RECORDED = ("missing", "json", "text", "empty")


def proposal(trial: Trial, batches: Batches) -> dict[str, Any]:
    """Return the content of a case's file with the bodies that were received, and without a stamp.

    Only bodies that the case records itself are replaced, never a status, a matcher or what ``same_as`` shares:
    those say what somebody wanted. Secret places are masked.
    """
    data = {key: value for key, value in trial.case.document.data.items() if key != "blessed"}
    data["expect"] = {mode: _received(trial, mode, told, batches) for mode, told in data["expect"].items()}
    return data


def _received(trial: Trial, mode: str, told: Mapping[str, Any], batches: Batches) -> dict[str, Any]:
    golden, reply = trial.case.goldens[mode], _first(trial, mode, batches)
    if golden.form not in _RECORDED or golden.source != trial.case.id or "same_as" in told or reply is None:
        return dict(told)
    kept = {key: value for key, value in told.items() if key not in PINS}
    body = reply.json_or_missing() if reply.is_json else MISSING
    if body is not MISSING:
        return {**kept, "body": trial.rules(mode).masked(body, ())}
    return {**kept, **({"text": reply.body.decode("utf-8", "replace")} if reply.body else {"empty": True})}


def _first(trial: Trial, mode: str, batches: Batches) -> Reply | None:
    seen = batches[mode].of(trial.case.id) if mode in batches else ()
    return next((one.reply for one in seen if one.reply is not None and one.reply.whole), None)


def received_path(folder: Path, trial: Trial) -> Path:
    """Return where the received file of a case is written."""
    return folder / trial.endpoint.endpoint / f"{trial.case.id}.received.json"


def write_received(folder: Path, trial: Trial, batches: Batches) -> Path | None:
    """Write what was received of a case, for people and for the blessing; None if nothing was."""
    if all(_first(trial, mode, batches) is None for mode in trial.endpoint.modes):
        return None
    return write_case(received_path(folder, trial), proposal(trial, batches))


def write_case(path: Path, data: Mapping[str, Any]) -> Path:
    """Write a case's file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(write_pretty(dict(data)) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def forget_received(folder: Path, trials: Iterable[Trial]) -> None:
    """Take away received files of an earlier run, so that none stands for this one."""
    for trial in trials:
        received_path(folder, trial).unlink(missing_ok=True)
