"""The corpora of this repository against their system: green when it is well, and red for each of its faults."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pytest_rollout.golden.asking import World
from pytest_rollout.golden.corpus import Corpus, load_corpora
from pytest_rollout.golden.session import Report, Wishes, run_corpus
from pytest_rollout.golden.wire import wire_over
from pytest_rollout.sources.http import Http
from pytest_rollout.verdict import Verdict
from sandbox.normalization.config import Config
from sandbox.normalization.deployment import create_database
from sandbox.normalization.faults import FAULTS
from sandbox.normalization.instance import build
from sandbox.normalization.modes import ENDPOINTS, Mode
from sandbox.serving import listen

ROOT = Path(__file__).parents[2]
CORPORA = ROOT / "golden_payloads"
DEADLINE_SECONDS = 180
PROPAGATION = 0.05
TOKEN = "a-token"

CAUGHT: Mapping[str, tuple[str, str]] = {
    "enforce-lets-pass": ("ps-typo/enforce", "#status: kind: expected rejected: 4xx, got 201"),
    "off-warns": ("al-typo/off", "#header/Deprecation: header: expected no such field"),
    "warn-rejects": ("mc-unknown/warn", "#status: kind: expected accepted: 2xx or 3xx, got 400"),
    "instance-in-old-mode": ("al-valid/warn", "mode-not-confirmed: expected the mode warn"),
    "mode-gauge-lies": ("ps-valid/off", "mode-not-confirmed"),
    "headers-missing-on-companies": (
        "al-typo/warn",
        "#header/Deprecation: header: expected exactly one field, got none",
    ),
    "sunset-wrong-weekday": ("mc-unknown/warn", "but that day is a Mon"),
    "sunset-too-early": ("mc-unknown/warn", "expected a date to come, for the resource still answers, got past sunset"),
    "deprecation-legacy-form": ("mc-unknown/warn", "the legacy form 'true' of a draft"),
    "deprecation-twice": ("ps-cyrillic/warn", "#header/Deprecation: header: expected exactly one field, got 2 fields"),
    "link-without-relation": ("mc-unknown/warn", "#header/Link: header: expected a link with rel='deprecation'"),
    "header-echo": ("mc-unknown/warn", "#header/X-Stage-Deprecated-Variants: header: expected only pre-seed"),
    "error-code-wrong": ("al-typo/enforce", "/details: value"),
    "error-status-422": ("mc-unknown/enforce", "#status: status: expected 400, got 422"),
    "body-echo": ("ps-cyrillic/enforce", "'received' was unexpected"),
    "correlation-id-missing": ("mc-unknown/enforce", "/correlationId: missing"),
    "valid-stages-incomplete": ("ps-seriesc/enforce", "/details: value"),
    "suggestion-missing": ("mc-typo/enforce", "/details: value"),
    "suggestion-too-far": ("mc-unknown/enforce", "/details: value"),
    "reject-stores": ("ps-typo/enforce", "side-effect: expected"),
    "rejects-uncounted": ("mc-typo/enforce", 'result="reject"}: metric: expected +1, got +0'),
    "headers-uncounted": ("ps-typo/warn", "stage_deprecation_header_emitted_total"),
    "errors-counted-twice": ("mc-typo/enforce", "metric: expected +1, got +2"),
    "label-raw-path": ("al-valid/warn", "#metric/stage_validation_"),
    "label-raw-cardinality": ("mc-thousand/warn", "got cardinality='1000' [bounded labels]"),
    "sum-exclusive": ("mc-sum-high/off", "#status: kind: expected accepted: 2xx or 3xx, got 400"),
    "sum-in-floats": ("mc-sum-low/off", "#status: kind: expected accepted: 2xx or 3xx, got 400"),
    "malformed-accepted-in-off": ("ps-sum-beyond/off", "#status: kind: expected rejected: 4xx, got 201"),
    "alias-forgotten": ("ps-alias/enforce", "#status: kind: expected accepted: 2xx or 3xx, got 400"),
    "look-alike-accepted": ("ps-seriesc/enforce", "#status: kind: expected rejected: 4xx, got 201"),
    "plus-unknown": ("al-plus-encoded/enforce", "#status: kind: expected accepted: 2xx or 3xx, got 400"),
    "errors-counter-missing": ("mc-typo/enforce", "stage_validation_errors_total"),
    "headers-counter-missing": ("ps-typo/warn", "stage_deprecation_header_emitted_total"),
    "metrics-down": ("al-valid/warn", "could not be restored"),
    "flags-down": ("al-valid/warn", "the mode off was not restored"),
    "alias-500": ("mc-alias/warn", "#status: kind: expected accepted: 2xx or 3xx, got 500"),
    "prototype-key-crash": ("mc-prototype/warn", "#status: kind: expected accepted: 2xx or 3xx, got 500"),
    "nfkd-missing": ("al-fullwidth/enforce", "#status: kind: expected accepted: 2xx or 3xx, got 400"),
    "alias-not-normalized": ("ps-alias/warn", "/stageAllocation: value"),
    "unknown-becomes-seed": ("mc-unknown/matrix", "relation/"),
    "valid-differs-in-enforce": ("mc-valid/matrix", "/results/mean: relation/value"),
    "cursor-drops-row": ("al-valid/off", "/nextCursor: value: expected"),
    "alias-lost-after-migration": ("al-alias/off", "/total: value: expected 30"),
}
"""By fault of the sandbox: a result that does not pass because of it, and what it says."""


@contextmanager
def instance(config: Config) -> Iterator[str]:
    """Serve one instance from this process and yield its address."""
    server = uvicorn.Server(uvicorn.Config(build(config), log_level="error", timeout_graceful_shutdown=1))
    with listen() as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(5)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database to copy."""
    return create_database(tmp_path_factory.mktemp("template"), dict.fromkeys(ENDPOINTS, Mode.OFF))


@pytest.fixture(scope="module")
def corpora() -> dict[str, Corpus]:
    """Return the corpora by endpoint, with pauses that are enough for a system that nobody else uses."""
    found = {}
    for corpus in load_corpora(CORPORA):
        endpoint = corpus.endpoint
        assert endpoint.metrics is not None
        metrics = endpoint.metrics.model_copy(update={"control": 0.01, "settle": 0.3, "hold": 0.01})
        mode = endpoint.mode.model_copy(update={"hold": 0.05, "within": 3.0})
        quick = endpoint.model_copy(update={"metrics": metrics, "mode": mode})
        found[endpoint.endpoint] = replace(corpus, endpoint=quick)
    return found


@contextmanager
def system(template: Path, folder: Path, *faults: str) -> Iterator[dict[str, str]]:
    """Serve two instances on one database; yields the variables that corpora need."""
    database = Path(shutil.copy(template, folder / "normalization.db"))
    config = Config(database, propagation=PROPAGATION, faults=frozenset(faults), flags_token=TOKEN)
    with ExitStack() as stack:
        places = [stack.enter_context(instance(replace(config, number=number))) for number in (1, 2)]
        yield {"STAGE_API_INSTANCES": ",".join(places), "STAGE_API_FLAGS_TOKEN": TOKEN}


def run(corpus: Corpus, variables: Mapping[str, str], received: Path, *modes: str) -> Report:
    http = Http(10.0)
    try:
        wishes = Wishes(modes=modes or corpus.endpoint.modes, received=received)
        return run_corpus(corpus, World(wire_over(http)), variables, wishes)
    finally:
        http.close()


def test_each_corpus_has_its_archetypes(corpora: dict[str, Corpus]) -> None:
    assert {name: len(corpus.cases) for name, corpus in corpora.items()} == {
        "monte_carlo": 10,
        "portfolio_strategies": 10,
        "allocations": 10,
    }
    for corpus in corpora.values():
        assert {case.case.kind for case in corpus.cases.values()} == set(corpus.endpoint.kinds)


@pytest.mark.parametrize("name", ["monte_carlo", "portfolio_strategies", "allocations"])
def test_a_healthy_system_passes_every_case_in_every_mode(
    template: Path, tmp_path: Path, corpora: dict[str, Corpus], name: str
) -> None:
    with system(template, tmp_path) as variables:
        report = run(corpora[name], variables, tmp_path / "received")
    assert report.verdict.verdict is Verdict.PASSED, report.verdict.message
    assert len(report.results) == 10 * 4 + 1
    assert not (tmp_path / "received").exists()
    assert {row.state for row in report.coverage} == {"covered", "declared but no case"}


def test_every_fault_is_caught_here_or_elsewhere() -> None:
    faults = {fault.name: fault for fault in FAULTS if not fault.name.startswith("migration-")}
    assert set(CAUGHT) <= set(faults)
    elsewhere = [fault for name, fault in faults.items() if name not in CAUGHT]
    assert [fault.name for fault in elsewhere if not fault.turns_red] == []
    assert len(CAUGHT) >= 20


@pytest.mark.parametrize("fault", CAUGHT)
def test_a_fault_is_caught_by_a_named_case(
    template: Path, tmp_path: Path, corpora: dict[str, Corpus], fault: str
) -> None:
    name, said = CAUGHT[fault]
    case, _, mode = name.partition("/")
    corpus = next(corpus for corpus in corpora.values() if case in corpus.cases)
    with system(template, tmp_path, fault) as variables:
        modes = () if mode == "matrix" else (mode,)
        report = run(corpus.only([case]), variables, tmp_path / "received", *modes)
    assert report.results[name].verdict is not Verdict.PASSED
    assert said in report.results[name].message


def test_the_whole_system_is_a_go_as_a_gate_of_a_stage(tmp_path: Path) -> None:
    """The real thing: the system's processes, pytest that decides a stage, and the pytest that it has run the cases."""
    argv = [sys.executable, "-m", "sandbox.normalization.app", "--directory", str(tmp_path / "app")]
    state = tmp_path / "state.json"
    with subprocess.Popen([*argv, "--state", str(state)], cwd=ROOT, stdout=subprocess.DEVNULL) as up:
        try:
            told = wait_for(state)
            shutil.copytree(CORPORA, tmp_path / "golden_payloads")
            gate = {"id": "corpora", "golden": {"corpus": "golden_payloads", "cases": 30}}
            plan = {
                "rollout": "stages",
                "environments": {"staging": {"target": told["target"]}},
                "stages": [{"stage": 1, "name": "every mode", "gates": [gate]}],
            }
            (tmp_path / "stages.rollout.yaml").write_text(json.dumps(plan))
            (tmp_path / "pyproject.toml").write_text('[tool.pytest]\nrollout_plans = ["."]\n')
            options = ["-p", "no:cacheprovider", "-n", "0", "--rollout-env=staging"]
            variables = {
                **{name: text for name, text in os.environ.items() if not name.startswith(("ROLLOUT_", "PYTEST_"))},
                "STAGE_API_INSTANCES": ",".join(told["instances"]),
                "STAGE_API_FLAGS_TOKEN": str(told["flags_token"]),
                "PYTHONPATH": str(ROOT),
            }
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "stages.rollout.yaml", *options],
                cwd=tmp_path,
                env=variables,
                capture_output=True,
                text=True,
                timeout=DEADLINE_SECONDS,
                check=False,
            )
        finally:
            up.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "reports/verdict.json").read_text())
    (check,) = document["stages"][0]["checks"]
    assert (document["decision"], check["kind"]) == ("GO", "golden")
    assert (
        check["message"] == "passed 1 of 1 times in a row: 30 cases in off, warn, enforce on 2 instances, 123 results"
    )


def wait_for(state: Path) -> dict[str, Any]:
    """Return the state file once it is there."""
    until = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < until:
        if state.exists():
            found: dict[str, Any] = json.loads(state.read_text())
            return found
        time.sleep(0.1)
    raise TimeoutError(state)
