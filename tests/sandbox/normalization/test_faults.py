"""Every fault of the API has its effect, and only its effect: a battery sees it, and sees nothing else change."""

from pathlib import Path
from shutil import copy
from typing import Any

import httpx
import pytest

from pytest_rollout.plan.loader import load_plan
from sandbox.faults import UnknownFaultError, check_names
from sandbox.normalization.behaviour import Behaviour
from sandbox.normalization.config import Config
from sandbox.normalization.faults import FAULTS, behaviour_with, steps_with
from sandbox.normalization.instance import build
from sandbox.normalization.migration.steps import Steps
from sandbox.normalization.noticed import GATES, GOLDEN
from tests.canaries.stage_normalization.test_faults import NOTICED
from tests.canaries.stage_normalization.test_migration import NOTICED as REHEARSED
from tests.golden.test_corpora import CAUGHT
from tests.sandbox.hosting import asked
from tests.sandbox.normalization.asking import companies, samples
from tests.sandbox.normalization.battery import PROBES, observe
from tests.sandbox.normalization.conftest import BEARER, TOKEN, Open

ROOT = Path(__file__).parents[3]
VALIDATIONS = "metric.stage_validation_validations_total"
ERRORS = "metric.stage_validation_errors_total"
HEADERS = "metric.stage_deprecation_header_emitted_total"
DURATIONS = "metric.stage_validation_duration_seconds_count"
ALL_UNKNOWN = "mc-typo mc-far mc-seriesc mc-proto st-typo co-typo"


def modes(names: str, probes: str) -> set[str]:
    return {f"{mode}.{probe}" for mode in names.split() for probe in probes.split()}


WARNED, REJECTED = modes("warn", ALL_UNKNOWN), modes("enforce", ALL_UNKNOWN)
STORED_SINCE_ENFORCE = modes("enforce", "st-stored")
EFFECTS: dict[str, set[str]] = {
    "enforce-lets-pass": modes("enforce", "st-typo st-stored") | {VALIDATIONS, ERRORS, HEADERS, DURATIONS},
    "off-warns": modes("off", "co-typo co-alias") | {VALIDATIONS, HEADERS, DURATIONS},
    "warn-rejects": modes("warn", "mc-typo mc-far mc-seriesc mc-proto") | {VALIDATIONS, ERRORS, HEADERS, DURATIONS},
    "mode-gauge-lies": {"metric.stage_validation_mode", "metric.stage_validation_canary_mode"},
    "headers-missing-on-companies": modes("warn", "co-typo") | {HEADERS},
    "sunset-wrong-weekday": WARNED,
    "sunset-too-early": WARNED,
    "deprecation-legacy-form": WARNED,
    "deprecation-twice": WARNED,
    "link-without-relation": WARNED,
    "header-echo": WARNED,
    "error-code-wrong": modes("enforce", "co-typo"),
    "error-status-422": modes("enforce", "mc-typo mc-far mc-seriesc mc-proto"),
    "body-echo": REJECTED | modes("off warn enforce", "mc-sum"),
    "correlation-id-missing": REJECTED | modes("off warn enforce", "mc-sum"),
    "valid-stages-incomplete": REJECTED,
    "suggestion-missing": modes("warn enforce", "mc-typo mc-seriesc st-typo co-typo"),
    "suggestion-too-far": modes("warn enforce", "mc-far mc-proto"),
    "reject-stores": modes("off warn enforce", "st-stored"),
    "rejects-uncounted": {VALIDATIONS},
    "headers-uncounted": {HEADERS},
    "errors-counted-twice": {ERRORS},
    "label-raw-path": {VALIDATIONS, ERRORS, HEADERS, DURATIONS},
    "label-raw-cardinality": {DURATIONS},
    "sum-exclusive": modes("off warn enforce", "mc-low mc-high") | {VALIDATIONS, DURATIONS},
    "sum-in-floats": modes("off warn enforce", "mc-low mc-high") | {VALIDATIONS, DURATIONS},
    "malformed-accepted-in-off": modes("off", "mc-sum"),
    "alias-forgotten": modes("warn enforce", "mc-underscore") | {VALIDATIONS, ERRORS, HEADERS},
    "look-alike-accepted": modes("warn enforce", "mc-seriesc") | {VALIDATIONS, ERRORS, HEADERS},
    "plus-unknown": modes("warn enforce", "mc-plus") | {VALIDATIONS, ERRORS, HEADERS},
    "alias-500": modes("warn enforce", "mc-underscore") | {VALIDATIONS, DURATIONS},
    "prototype-key-crash": modes("warn enforce", "mc-proto") | {VALIDATIONS, ERRORS, HEADERS, DURATIONS},
    "nfkd-missing": modes("warn enforce", "mc-fullwidth") | {VALIDATIONS, ERRORS, HEADERS},
    "alias-not-normalized": modes("warn enforce", "st-alias"),
    "unknown-becomes-seed": modes("warn", "mc-typo mc-far mc-seriesc mc-proto st-typo co-typo st-stored")
    | STORED_SINCE_ENFORCE,
    "valid-differs-in-enforce": modes(
        "enforce", "mc-valid mc-plus mc-alias mc-underscore mc-fullwidth mc-many mc-low mc-high"
    ),
    "cursor-drops-row": modes("off warn enforce", "co-page co-next"),
    "alias-lost-after-migration": modes("off warn enforce", "co-valid co-alias"),
    "slow-validator": {"slow"},
    "errors-counter-missing": {ERRORS},
    "headers-counter-missing": {HEADERS},
    "openapi-without-headers": {"openapi"},
    "deprecations-empty": {"deprecations"},
}
"""What the battery sees of each fault. That a body of warn differs from off's only in its names shows in off too."""
OF_FLIPS = {"canary-for-everybody", "instance-in-old-mode", "flip-takes-long", "canary-slow"}
"""Tested below: the battery flips nothing, and asks as no canary."""
OF_DEPLOYMENT = {"release-does-not-roll-back", "metrics-down", "flags-down"}
"""Tested in test_releases.py: the battery needs metrics and flags."""
OF_THE_REST = {
    *("prometheus-down", "scrape-misses-instance", "rules-not-loaded", "alert-never-sent", "alerts-silenced"),
    *("no-traffic", "release-stops-halfway"),
}
"""They are not of an instance: tested in test_releases.py and tests/sandbox/test_up_normalization.py."""


def test_unknown_fault_is_named_with_a_suggestion_and_the_list() -> None:
    with pytest.raises(UnknownFaultError) as caught:
        check_names(["slow-validator", "slow-valid"], FAULTS)
    known = ", ".join(fault.name for fault in FAULTS)
    assert str(caught.value) == f"unknown fault 'slow-valid'; did you mean 'slow-validator'?\nfaults: {known}"


def test_every_fault_replaces_something_and_is_tested() -> None:
    of_migration = {fault.name for fault in FAULTS if fault.steps}
    assert {fault.name for fault in FAULTS} == EFFECTS.keys() | OF_FLIPS | of_migration | OF_DEPLOYMENT | OF_THE_REST
    assert all(fault.turns_red and fault.does and fault.system == "normalization" for fault in FAULTS)
    assert {fault.name for fault in FAULTS if not fault.behaviour and not fault.steps} == OF_THE_REST
    assert not any(fault.behaviour and fault.steps for fault in FAULTS)
    assert all(behaviour_with([fault.name]) != Behaviour() for fault in FAULTS if fault.behaviour)
    assert all(steps_with([fault.name]) != Steps() for fault in FAULTS if fault.steps)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 20


def test_what_turns_red_is_there() -> None:
    stages = load_plan(ROOT / "canaries/stage_normalization/stage-normalization.rollout.yaml").plan.stages
    gates = {f"{stage.marker}/{gate.id}" for stage in stages for gate in stage.gates}
    cases = {path.stem for path in (ROOT / "golden_payloads").glob("*/*.json")}
    for check in {check for fault in FAULTS for check in fault.turns_red}:
        place, _, name = check.partition("/")
        assert name.partition("/")[0] in cases if place == "golden" else check in gates, check
    noticed = {*GOLDEN, *(fault for faults in GATES.values() for fault in faults)}
    assert noticed == {fault.name for fault in FAULTS}


def test_what_turns_red_is_what_the_canaries_and_golden_payloads_tests_see() -> None:
    assert {fault: result for fault, (result, _) in CAUGHT.items()} == GOLDEN
    red = {(fault, place.partition(" ")[0]) for place, faults in GATES.items() for fault in faults}
    assert NOTICED.keys() <= red
    assert {(fault, "migration-rehearsal") for fault in REHEARSED} <= red


def observed(template: Path, folder: Path, *faults: str) -> dict[str, Any]:
    path = Path(copy(template, folder / "normalization.db"))
    with asked(build(Config(path, faults=frozenset(faults), flags_token=TOKEN))) as client:
        return observe(client)


@pytest.fixture(scope="module")
def healthy(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return observed(template, tmp_path_factory.mktemp("healthy"))


def test_battery_sees_the_same_twice(template: Path, tmp_path: Path, healthy: dict[str, Any]) -> None:
    assert observed(template, tmp_path) == healthy
    assert len(healthy) > 3 * len(PROBES)


@pytest.mark.parametrize("fault", EFFECTS)
def test_fault_has_its_effect_and_no_other(template: Path, tmp_path: Path, healthy: dict[str, Any], fault: str) -> None:
    seen = observed(template, tmp_path, fault)
    assert {name for name in seen.keys() | healthy.keys() if seen.get(name) != healthy.get(name)} == EFFECTS[fault]


def put(client: httpx.Client, cohort: str, value: str) -> None:
    body = {"cohort": cohort, "value": value, "actor": "tester", "reason": "test"}
    client.put("/admin/flags/STAGE_VALIDATION_MODE", json=body, headers=BEARER)


def seen_by(client: httpx.Client, cohort: str = "main") -> int:
    return companies(client, cohort, "stage=foo").status_code


@pytest.mark.parametrize(("faults", "seen"), [((), [400, 200]), (("canary-for-everybody",), [400, 400])])
def test_canary_for_everybody(site: Open, faults: tuple[str, ...], seen: list[int]) -> None:
    client = site(*faults)
    put(client, "canary", "enforce")
    assert [seen_by(client, cohort) for cohort in ("canary", "main")] == seen


@pytest.mark.parametrize(("faults", "seen"), [((), [400, 400]), (("instance-in-old-mode",), [400, 200])])
def test_instance_in_old_mode(site: Open, faults: tuple[str, ...], seen: list[int]) -> None:
    instances = [site(*faults, number=number) for number in (1, 2)]
    put(instances[0], "*", "enforce")
    assert [seen_by(client) for client in instances] == seen
    gauge = 'stage_validation_mode{endpoint="/api/funds/{fundId}/companies"}'
    told = [samples(client)[gauge] for client in instances]
    assert told == [{400: 2.0, 200: 0.0}[status] for status in seen], "the gauge tells the truth"


@pytest.mark.parametrize(("faults", "status"), [((), 400), (("flip-takes-long",), 200)])
def test_flip_takes_long(site: Open, faults: tuple[str, ...], status: int) -> None:
    client = site(*faults)
    put(client, "*", "enforce")
    assert seen_by(client) == status
    assert behaviour_with(faults).delay(0.2) == (0.2 if status == 400 else 8.2)


@pytest.mark.parametrize(("faults", "quick"), [((), ["1.0", "1.0"]), (("canary-slow",), ["0.0", "1.0"])])
def test_canary_slow(site: Open, faults: tuple[str, ...], quick: list[str]) -> None:
    client = site(*faults)
    for cohort in ("canary", "another"):
        companies(client, cohort, "stage=foo")
    lines = client.get("/metrics").text.splitlines()
    parts = [("http_request_duration_seconds_bucket", "companies", 'le="0.05"', one) for one in ("canary", "other")]
    assert [line.split()[-1] for wanted in parts for line in lines if all(part in line for part in wanted)] == quick
