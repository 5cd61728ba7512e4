"""Each fault of the sandbox's API turns red the canaries that name it, and a healthy deployment turns none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from canaries.stage_normalization import (
    conftest,
    test_alert_dry_run as dry,
    test_api_description as description,
    test_consistency as consistency,
    test_labels as labels,
    test_modes as modes,
)
from canaries.stage_normalization.endpoints import ENDPOINTS, Answer, Ask
from canaries.stage_normalization.instances import (
    Instance,
    Modes,
    UnusableError,
    await_modes,
    flagged,
    fleet,
    require,
    require_all,
    wrong_modes,
)
from canaries.stage_normalization.odd import odd_requests
from canaries.stage_normalization.test_consistency import OWN, disagreeing
from canaries.stage_normalization.test_rollback_rehearsal import EVERYWHERE
from tests.canaries.stage_normalization.conftest import NAME, Open

One = Callable[..., Instance]

ACTED = "acts as {} at {} for everybody, expected warn"
TAKEN = "{} has {!r} "


def run_modes(instance: Instance) -> None:
    wanted: Modes = dict.fromkeys(EVERYWHERE, "warn")
    require("modes", wrong_modes(instance, wanted, wanted, NAME))


def run_labels(instance: Instance) -> None:
    labels.test_odd_requests_add_no_series((instance,), NAME)


def run_description(instance: Instance) -> None:
    description.test_deprecation_is_described((instance,))


def run_consistency(instance: Instance) -> None:
    for mode, cohort in OWN.items():
        require(mode, disagreeing(instance, cohort, mode, NAME))


RUNS: dict[str, Callable[[Instance], None]] = {
    "modes": run_modes,
    "labels": run_labels,
    "api-description": run_description,
    "consistency": run_consistency,
}
NOTICED = {
    ("warn-rejects", "modes"): ACTED.format("enforce", "monte_carlo"),
    ("mode-gauge-lies", "modes"): "shows enforce at monte_carlo for everybody, expected warn",
    ("headers-missing-on-companies", "modes"): ACTED.format("off", "companies"),
    ("label-raw-path", "labels"): "has endpoint='/api/funds/",
    ("label-raw-cardinality", "labels"): "stage_validation_duration_seconds has cardinality='",
    ("errors-counter-missing", "labels"): "there is no family stage_validation_errors",
    ("headers-counter-missing", "labels"): "there is no family stage_deprecation_header_emitted",
    ("openapi-without-headers", "api-description"): "does not describe the header deprecation",
    ("deprecations-empty", "api-description"): "no deprecation names /api/monte-carlo/simulate",
    ("enforce-lets-pass", "consistency"): TAKEN.format("strategies", "serie-a") + "warned",
    ("off-warns", "consistency"): TAKEN.format("companies", "Series A") + "served as 'series-a'",
    ("warn-rejects", "consistency"): TAKEN.format("monte_carlo", "serie-a") + "rejected",
    ("canary-for-everybody", "consistency"): TAKEN.format("monte_carlo", "Series A") + "served as 'series-a'",
    ("header-echo", "consistency"): "nearest 'serie-a'",
    ("error-code-wrong", "consistency"): "companies: the refusal of 'serie-a' is not as promised",
    ("error-status-422", "consistency"): "monte_carlo: 'serie-a' was answered 422",
    ("valid-stages-incomplete", "consistency"): "the refusal of 'serie-a' is not as promised",
    ("suggestion-missing", "consistency"): "nearest 'unknown', not warned",
    ("suggestion-too-far", "consistency"): TAKEN.format("monte_carlo", "growth-equity-late"),
    ("alias-forgotten", "consistency"): TAKEN.format("monte_carlo", "series_b"),
    ("plus-unknown", "consistency"): TAKEN.format("monte_carlo", "series-c+"),
    ("alias-500", "consistency"): "monte_carlo: 'series_b' was answered 500",
    ("prototype-key-crash", "consistency"): "monte_carlo: 'constructor' was answered 500",
    ("alias-not-normalized", "consistency"): TAKEN.format("strategies", "Series A"),
    ("unknown-becomes-seed", "consistency"): "warned as 'seed'",
}


@pytest.mark.parametrize("canary", RUNS)
def test_healthy_instance_passes(one: One, canary: str) -> None:
    RUNS[canary](one())


@pytest.mark.parametrize(("fault", "canary"), NOTICED, ids=str)
def test_fault_turns_the_canary_red(one: One, fault: str, canary: str) -> None:
    with pytest.raises(AssertionError) as caught:
        RUNS[canary](one(fault))
    assert NOTICED[fault, canary] in str(caught.value).splitlines()[0]


@pytest.mark.parametrize("canary", ["modes", "labels"])
def test_without_metrics_nothing_is_known(one: One, canary: str) -> None:
    with pytest.raises(UnusableError, match="/metrics answered 503, so nothing can be counted"):
        RUNS[canary](one("metrics-down"))


@pytest.mark.parametrize("turn", [1, 2])
def test_odd_requests_that_are_not_validated_prove_nothing(
    one: One, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    monkeypatch.setattr(labels, "odd_requests", lambda now: () if now == turn else odd_requests(now))
    with pytest.raises(AssertionError) as caught:
        run_labels(one())
    said = [f"did not rise at {template}, so the odd requests were not validated" for template in dry.TEMPLATES]
    assert all(line in str(caught.value) for line in said)


@pytest.mark.parametrize("status", [429, 503])
def test_odd_requests_that_are_turned_away_prove_nothing(
    one: One, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    busy = one()
    send = Instance.send

    def answer(instance: Instance, ask: Ask, cohort: str) -> Answer:
        return Answer(status, {}, "busy") if "1" in str(ask) and ask.method == "PATCH" else send(instance, ask, cohort)

    monkeypatch.setattr(Instance, "send", answer)
    said = f"http://sandbox: round 1, PATCH /api/portfolio/strategies/1 was answered {status} busy"
    with pytest.raises(UnusableError, match=f"^{said}$"):
        run_labels(busy)


def test_whole_deployment_passes_and_its_flags_are_as_they_were(site: Open) -> None:
    healthy = site()
    modes.test_every_instance_is_in_the_modes_of_the_flags(healthy.instances, NAME, target(healthy.url))
    with consistency.cohorts_in_every_mode(healthy.flags, healthy.instances):
        consistency.test_endpoints_agree_in_every_mode(healthy.instances, NAME)
    consistency.test_endpoints_agree_as_they_serve(healthy.instances, NAME)
    left = {flag: (rules.default, dict(rules.cohorts)) for flag, rules in healthy.flags.snapshot().items()}
    assert left == {endpoint.flag: ("warn", {}) for endpoint in ENDPOINTS}


def test_instance_that_misses_a_flip_is_named(site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = site("instance-in-old-mode")
    monkeypatch.setattr("canaries.stage_normalization.instances.SPREAD_SECONDS", 0.0)
    monkeypatch.setattr(modes, "await_modes", lambda instances, wanted: await_modes(instances, wanted, 0.3))
    deaf.flags.set("STAGE_VALIDATION_MODE", "off", actor="test", reason="a flip")
    with pytest.raises(AssertionError, match=f"after 5 s: {deaf.instances[1].url} is not in the wanted modes: monte_"):
        modes.test_every_instance_is_in_the_modes_of_the_flags(deaf.instances, NAME, target(deaf.url))


def test_without_flags_no_mode_is_wanted(site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.sources.flags._RETRY_BUDGET", 0.0)
    with pytest.raises(UnusableError, match="STAGE_VALIDATION_MODE_MONTE_CARLO is None, not a mode; HTTP 503"):
        flagged(site("flags-down").url)


def test_without_a_flag_service_no_mode_is_wanted() -> None:
    with pytest.raises(UnusableError, match=r"^the environment has no flag service, so nobody knows which modes are"):
        flagged(None)


def test_flags_that_turn_meanwhile_prove_nothing(site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    restless = site()
    wanted: Modes = dict.fromkeys(EVERYWHERE, "warn")
    read = iter([wanted, {**wanted, ("companies", "*"): "enforce"}])
    monkeypatch.setattr(modes, "flagged", lambda _url: next(read))
    with pytest.raises(UnusableError, match="the flags turned meanwhile"):
        modes.test_every_instance_is_in_the_modes_of_the_flags(restless.instances, NAME, target(restless.url))


def test_canary_that_would_be_rejected_is_not_probed(site: Open) -> None:
    strict = site()
    strict.flags.set("STAGE_VALIDATION_MODE", "enforce", "canary", actor="test", reason="stage 4")
    modes.test_every_instance_is_in_the_modes_of_the_flags(strict.instances, NAME, target(strict.url))
    read = strict.instances[0].exposition()["stage_validation_errors"]
    assert [value for _labels, value in read] == [0, 0, 0]


def test_one_instance_at_two_addresses_is_refused(site: Open) -> None:
    url = site().url
    with (
        pytest.raises(UnusableError, match=r"and http://localhost:\d+ are both instance 1$"),
        fleet(f"{url},{url.replace('127.0.0.1', 'localhost')}"),
    ):
        pass


@pytest.mark.parametrize("addresses", ["", " , ", "http://a,http://a/"])
def test_addresses_have_to_name_instances_once(addresses: str) -> None:
    with pytest.raises(UnusableError, match="does not name instances, each once"), fleet(addresses):
        pass


def target(url: str) -> Any:
    """Return the environment."""
    return SimpleNamespace(flags_url=url)


def test_instance_that_nobody_has_named_is_seen(site: Open) -> None:
    first, second = site().instances
    require_all(first.url, [first, second])
    with pytest.raises(
        UnusableError, match=f"^instance 2 answers at {second.url} and is not among those that are asked$"
    ):
        require_all(second.url, [first])


def test_front_that_does_not_say_who_answers_is_unusable(site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    known = site().instances[0]
    monkeypatch.setattr(Instance, "send", lambda *_: Answer(200, {}, ""))
    with pytest.raises(UnusableError, match=r"^answers of http://front do not say in x-instance who gave them"):
        require_all("http://front", [known])


@pytest.mark.parametrize("fixture", ["serving", "preview"])
def test_every_canary_knows_all_instances(fixture: str) -> None:
    source = Path(str(conftest.__file__)).read_text(encoding="utf-8")
    body = source[source.index(f"def {fixture}(") :]
    assert body.index("require_all(") < body.index("yield instances")
