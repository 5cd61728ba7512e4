"""The golden corpora beside tavern and schemathesis: what of the cases each can say, and which faults each catches.

tavern is given every case as YAML, written from our files: the request, and all of the expectation that its language
has a word for. schemathesis is given the OpenAPI document. The mode in which a fault shows is set for them and waited
for, and tavern sends to both instances, as we do. A failure counts as caught only if there is none of its kind on the
healthy system.

Both live in a virtual environment of their own: ``python -m venv .tools/peers`` and there
``pip install tavern==3.7.1 schemathesis==4.32.5 "pytest<9"``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx

from benchmarks import report
from benchmarks.golden_corpus import CORPORA, system
from benchmarks.golden_tavern import Said, write_tavern
from pytest_rollout.golden.asking import World
from pytest_rollout.golden.corpus import load_corpora
from pytest_rollout.golden.session import Wishes, run_corpus
from pytest_rollout.golden.wire import wire_over
from pytest_rollout.sources.http import Http
from pytest_rollout.verdict import Verdict

FAULTS = {
    "enforce-lets-pass": "enforce",
    "off-warns": "off",
    "instance-in-old-mode": "warn",
    "sunset-wrong-weekday": "warn",
    "header-echo": "warn",
    "error-code-wrong": "enforce",
    "body-echo": "enforce",
    "reject-stores": "enforce",
    "rejects-uncounted": "enforce",
    "label-raw-cardinality": "warn",
    "sum-in-floats": "off",
    "alias-forgotten": "enforce",
}
"""Faults of the sandbox, and the mode in which each shows."""
MODES = ("off", "warn", "enforce")
FLAGS = {
    "monte_carlo": "STAGE_VALIDATION_MODE_MONTE_CARLO",
    "portfolio_strategies": "STAGE_VALIDATION_MODE_STRATEGIES",
    "allocations": "STAGE_VALIDATION_MODE_COMPANIES",
}
EXAMPLES = 20
DEADLINE_SECONDS = 300


def set_modes(variables: Mapping[str, str], mode: str) -> None:
    """Set a mode everywhere and give the instances time to take it up."""
    headers = {"Authorization": f"Bearer {variables['STAGE_API_FLAGS_TOKEN']}"}
    for flag in FLAGS.values():
        wish = {"cohort": "*", "value": mode, "actor": "benchmark", "reason": "peers"}
        httpx.put(f"{variables['FRONT']}/admin/flags/{quote(flag)}", json=wish, headers=headers).raise_for_status()
    time.sleep(1.0)


def tavern(tools: Path, folder: Path) -> tuple[set[str], float]:
    """Return the tests that failed, and the seconds of the run."""
    began, result = time.perf_counter(), folder / "result.xml"
    argv = [str(tools / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={result}", "."]
    subprocess.run(argv, cwd=folder, capture_output=True, timeout=DEADLINE_SECONDS, check=False)
    failed = re.findall(r' name="([^"]+)"[^>]*><(?:failure|error)', result.read_text())
    return set(failed), time.perf_counter() - began


def schemathesis(tools: Path, folder: Path, front: str) -> tuple[set[str], float]:
    """Return ``check of operation`` for each kind of failure, and the seconds of the run."""
    began, result = time.perf_counter(), folder / "schemathesis.json"
    argv = [str(tools / "bin" / "schemathesis"), "run", f"{front}/openapi.json", "--seed", "1", "-n", str(EXAMPLES)]
    argv += ["--continue-on-failure", "--no-shrink", "--suppress-health-check", "all"]
    argv += ["--include-path-regex", "^/api/(monte|portfolio|funds)", "--report-json-path", str(result)]
    subprocess.run(argv, cwd=folder, capture_output=True, timeout=DEADLINE_SECONDS, check=False)
    failures = json.loads(result.read_text())["failures"]
    kinds = {f"{one['type']} of {json.dumps(each)}" for one in failures for each in one["operations"]}
    return kinds, time.perf_counter() - began


def ours(variables: Mapping[str, str], folder: Path) -> tuple[set[str], float]:
    """Return the results that do not pass, and the seconds of the run."""
    began, http, failed = time.perf_counter(), Http(10.0), set()
    for corpus in load_corpora(CORPORA):
        wishes = Wishes(modes=corpus.endpoint.modes, received=folder / "received")
        found = run_corpus(corpus, World(wire_over(http)), variables, wishes)
        failed |= {name for name, result in found.results.items() if result.verdict is not Verdict.PASSED}
    http.close()
    return failed, time.perf_counter() - began


@dataclass
class Figures:
    """What was measured: by tool and fault (or mode, on the healthy system) the failures and seconds."""

    healthy: dict[tuple[str, str], tuple[set[str], float]] = field(default_factory=dict)
    faulty: dict[tuple[str, str], tuple[set[str], float]] = field(default_factory=dict)
    said: Said = field(default_factory=Said)
    sent: int = 0

    def caught(self, tool: str, fault: str, mode: str) -> str:
        """Return whether there are failures that the healthy system has not."""
        return "caught" if self.faulty[tool, fault][0] - self.healthy[tool, mode][0] else "-"


def measure(tools: Path) -> Figures:
    """Run the three, on the healthy system and with each fault."""
    figures, corpora = Figures(), load_corpora(CORPORA)
    for fault in (None, *FAULTS):
        with system(*([fault] if fault else [])) as variables, tempfile.TemporaryDirectory() as name:
            instances = variables["STAGE_API_INSTANCES"].split(",")
            for mode in MODES if fault is None else (FAULTS[fault],):
                folder = Path(name, mode)
                folder.mkdir()
                said = figures.said if fault is None else Said()
                sent = write_tavern(folder, corpora, instances, mode, said)
                figures.sent += sent if fault is None else 0
                set_modes(variables, mode)
                kept, key = (figures.healthy, mode) if fault is None else (figures.faulty, fault)
                kept["tavern", key] = tavern(tools, folder)
                kept["schemathesis", key] = schemathesis(tools, folder, variables["FRONT"])
            set_modes(variables, "off")
            found = ours(variables, Path(name))
            if fault is None:
                figures.healthy |= {("ours", mode): found for mode in MODES}
            else:
                figures.faulty["ours", fault] = found
            print(fault or "healthy", {tool: len(one[0]) for (tool, _), one in figures.faulty.items()}, flush=True)
    return figures


def lost(figures: Figures) -> Iterator[list[str]]:
    """Yield a row for each part of an expectation that tavern has no word for."""
    for part, number in sorted(figures.said.lost.items()):
        if number:
            yield [part, str(figures.said.parts[part]), str(number)]


def told(figures: Figures) -> str:
    """Return the figures as Markdown."""
    rows = [
        [fault, mode, *(figures.caught(tool, fault, mode) for tool in ("ours", "tavern", "schemathesis"))]
        for fault, mode in FAULTS.items()
    ]
    counts = [sum(row[place] != "-" for row in rows) for place in (2, 3, 4)]
    rows.append(["faults caught", "", *(f"{count} of {len(FAULTS)}" for count in counts)])
    noise = [sum(len(figures.healthy[tool, mode][0]) for mode in MODES) for tool in ("ours", "tavern", "schemathesis")]
    noise[0] //= len(MODES)
    rows.append(["failures of the healthy system", "all", *map(str, noise)])
    seconds = [sum(figures.healthy[tool, mode][1] for mode in MODES) for tool in ("ours", "tavern", "schemathesis")]
    seconds[0] /= len(MODES)
    rows.append(["seconds, healthy, three modes", "all", *(f"{one:.0f}" for one in seconds)])
    total, gone = figures.said.parts.total(), figures.said.lost.total()
    said = (
        f"tavern sends {figures.sent} of 90 cells (case and mode). Of {total} parts of what they expect it has no word"
    )
    said += f" for {gone}:"
    return "\n\n".join(
        [
            report.table(["fault", "mode", "ours", "tavern", "schemathesis"], rows),
            said,
            report.table(["part", "cells", "lost"], lost(figures)),
        ]
    )


def main() -> None:
    """Measure, print, and write the figures into a document if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, default=Path(".tools/peers"), help="the peers' virtual environment")
    parser.add_argument("--write", type=Path, help="a document with <!-- golden-peers --> comments")
    asked = parser.parse_args()
    text = told(measure(asked.tools.resolve()))
    print(text)
    if asked.write:
        report.write(asked.write, "golden-peers", text)


if __name__ == "__main__":
    main()
