"""normalize-stages as its command line has it: plan, apply, verify, quarantine, snapshot, restore."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from canaries.stage_normalization import commands
from canaries.stage_normalization.endpoints import STAGES
from canaries.stage_normalization.instances import UnusableError

CHECKS = ("keys", "other-columns", "mapping", "canonical", "sums", "audited")
"""What a verification has to have looked at, every one."""
COMPANIES, STRATEGIES = TABLES = ("companies", "strategies")
"""The tables that hold stages. Nobody writes the first one through the API."""
DEADLINE_SECONDS = 60.0
_DONE, _REFUSED = 0, 1
Report = Mapping[str, Any]


class MigrationError(AssertionError):
    """The migration refused."""


@dataclass(frozen=True)
class Migration:
    """The migration of one database; answers are JSON, one object a line."""

    start: Callable[[Sequence[str]], tuple[int, str]]
    """Runs it with these words and returns its exit code and all that it said."""

    @classmethod
    def of(cls, text: str) -> Migration:
        """Take a command line, split as a shell would; no shell runs it."""
        return cls(lambda words: commands.run(text, words, DEADLINE_SECONDS))

    def run(self, *words: str) -> list[Report]:
        """Run it and return its answers. Raises MigrationError with what it complains about."""
        code, answers, said = self._run(words)
        if code:
            raise MigrationError(f"normalize-stages {words[0]} refused: {said}")
        return answers

    def plan(self) -> Report:
        """Return what would change; has to change nothing. Raises MigrationError."""
        (plan,) = self.run("--plan")
        return plan

    def apply(self, digest: str, batch: int) -> list[Report]:
        """Apply an approved plan in batches of so many rows; return one report a batch, the last one of it all."""
        return self.run("--apply", digest, "--batch-size", str(batch))

    def verify(self, snapshot: Path) -> Report:
        """Return the comparison with a snapshot from before, passed or not. Raises UnusableError without one."""
        _code, answers, said = self._run(("--verify", str(snapshot)))
        if len(answers) != 1:
            raise UnusableError(f"normalize-stages --verify gave no report: {said}")
        return answers[0]

    def quarantine(self) -> list[Report]:
        """Return the values that were set aside."""
        return self.run("--quarantine")

    def snapshot(self, path: Path) -> Report:
        """Write a snapshot to a file that is not there yet."""
        (report,) = self.run("--snapshot", str(path))
        return report

    def restore(self, path: Path) -> Report:
        """Put a snapshot back."""
        (report,) = self.run("--restore", str(path))
        return report

    def _run(self, words: Sequence[str]) -> tuple[int, list[Report], str]:
        code, output = self.start(words)
        answers = [line for line in output.splitlines() if line.startswith("{")]
        said = "\n".join(line for line in output.splitlines() if not line.startswith("{"))[-400:].strip()
        if code not in (_DONE, _REFUSED):
            raise UnusableError(f"normalize-stages {words[0]} ended with exit code {code}: {said}")
        return code, [json.loads(line) for line in answers], said


def wrong_plan(plan: Report) -> list[str]:
    """Return what is wrong with a plan in itself: it changes to stages only, each row once, and leaves no gap."""
    changes, aside = plan["changes"], plan["quarantine"]
    wrong = [f"{one['from']!r} would become {one['to']!r}, no stage" for one in changes if one["to"] not in STAGES]
    wrong += [f"{one['from']!r} is a stage and would become {one['to']!r}" for one in changes if one["from"] in STAGES]
    wrong += [f"{one['value']!r} is a stage and would be set aside" for one in aside if one["value"] in STAGES]
    targets: dict[str, set[str]] = {}
    for one in changes:
        targets.setdefault(one["from"], set()).add(one["to"])
    wrong += [f"{old!r} would become {' and '.join(sorted(new))}" for old, new in targets.items() if len(new) > 1]
    both = targets.keys() & {one["value"] for one in aside}
    wrong += [f"{value!r} would be both changed and set aside" for value in sorted(both)]
    wrong += [f"the plan has looked at no rows of {table}" for table in TABLES if not plan["rows"].get(table)]
    return wrong


def wrong_verification(report: Report) -> list[str]:
    """Return what a verification has found, or has not looked at."""
    found = {one["name"]: one for one in report["checks"]}
    wrong = [f"{name} was not checked" for name in CHECKS if name not in found]
    wrong += [
        f"{name}: {one['wrong']} rows are wrong ({one['means']}), such as {', '.join(map(str, one['examples']))}"
        for name, one in found.items()
        if one["wrong"]
    ]
    if not report["rows"]:
        wrong.append("no row was compared with the snapshot")
    return wrong or ([] if report["passed"] else ["the verification did not pass and does not say why"])


def values_of(plan: Report, table: str) -> dict[str, int]:
    """Return the unknown values of a table in a plan, and how many rows have each."""
    return {one["value"]: one["rows"] for one in plan["quarantine"] if one["table"] == table}


def wrong_batches(reports: Sequence[Report], plan: Report) -> list[str]:
    """Return how the batches' log differs from the plan that was approved."""
    batches, total = [one["batch"] for one in reports[:-1]], reports[-1]
    wrong = []
    for table, rows in plan["rows"].items():
        mine = [one for one in batches if one["table"] == table]
        if (looked := sum(one["rows"] for one in mine)) != rows:
            wrong.append(f"the batches of {table} went over {looked} rows of {rows}")
        if any(later["first"] <= earlier["last"] for earlier, later in pairwise(mine)):
            wrong.append(f"the batches of {table} overlap")
    wrong += [f"a batch of {one['table']} has {one['mismatches']} mismatches" for one in batches if one["mismatches"]]
    updated = sum(one["updated"] for one in batches)
    if not updated == total["updated"] == plan["rows_to_change"]:
        wrong.append(
            f"{updated} rows were updated, {total['updated']} were told, {plan['rows_to_change']} were approved"
        )
    return wrong
