"""The faults this system can be started with, and what notices each one."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import sandbox.faults
from sandbox.faults import check_names
from sandbox.normalization import deviations as api, openapi
from sandbox.normalization.behaviour import Behaviour
from sandbox.normalization.migration import deviations as migration
from sandbox.normalization.migration.steps import Steps
from sandbox.normalization.noticed import HALFWAY, NO_RULES, NO_TRAFFIC, NOT_SENT, SCRAPES_ONE, SILENCED, turns_red


@dataclass(frozen=True)
class Fault(sandbox.faults.Fault):
    """One way to break the system: what it replaces in Behaviour, or in the migration's Steps.

    Those that replace nothing are the monitoring's or the deployment's, which look at their names. ``turns_red`` are
    gates of the plan and golden payloads; there may be more of them.
    """

    system: ClassVar[str] = "normalization"
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)


def _fault(
    name: str, does: str, behaviour: Mapping[str, Any] | None = None, *, steps: Mapping[str, Any] | None = None
) -> Fault:
    return Fault(name, does, turns_red(name), behaviour or {}, steps or {})


FAULTS: tuple[Fault, ...] = (
    _fault("enforce-lets-pass", "enforce acts as warn at the strategies", {"mode": api.enforce_is_warn}),
    _fault("off-warns", "off acts as warn at the companies", {"mode": api.off_is_warn}),
    _fault("warn-rejects", "warn acts as enforce at the simulation", {"mode": api.warn_is_enforce}),
    _fault("canary-for-everybody", "every request meets the canary's mode", {"cohort": api.everybody_is_canary}),
    _fault("instance-in-old-mode", "the second instance takes up no flip", {"hears": api.deaf_second}),
    _fault("flip-takes-long", "a flip takes 8 s longer to arrive", {"delay": api.late}),
    _fault("mode-gauge-lies", "the mode gauges show enforce, whatever the mode", {"gauge": api.always_two}),
    _fault(
        "headers-missing-on-companies",
        "the companies answer without deprecation headers",
        {"headers": api.none_on_companies},
    ),
    _fault("sunset-wrong-weekday", "Sunset names a Tuesday that is a Monday", {"headers": api.tuesday}),
    _fault("sunset-too-early", "Sunset is before Deprecation, and past", {"headers": api.too_early}),
    _fault("deprecation-legacy-form", "Deprecation is true, not a date", {"headers": api.legacy}),
    _fault("deprecation-twice", "there are two Deprecation headers", {"headers": api.twice}),
    _fault("link-without-relation", "Link has no relation", {"headers": api.without_relation}),
    _fault("header-echo", "X-Stage-Deprecated-Variants has the client's text", {"headers": api.echoed}),
    _fault("error-code-wrong", "the companies answer INVALID_QUERY", {"refuse": api.other_code}),
    _fault("error-status-422", "a simulation is rejected with 422", {"refuse": api.unprocessable}),
    _fault("body-echo", "error bodies hold the whole request", {"refuse": api.echo}),
    _fault("correlation-id-missing", "error bodies have no id", {"refuse": api.uncorrelated}),
    _fault("valid-stages-incomplete", "validStages lacks series-c+", {"refuse": api.five_stages}),
    _fault("suggestion-missing", "no stage is suggested", {"nearest": api.no_suggestion}),
    _fault("suggestion-too-far", "a stage is suggested for anything", {"nearest": api.any_suggestion}),
    _fault("reject-stores", "a strategy is stored before its stages are looked at", {"stores_first": True}),
    _fault("rejects-uncounted", "rejects are not counted", {"counts": api.rejects_uncounted}),
    _fault("headers-uncounted", "emitted headers are not counted", {"counts": api.headers_uncounted}),
    _fault("errors-counted-twice", "every error counts as two", {"counts": api.errors_twice}),
    _fault("label-raw-path", "endpoint labels hold fund ids", {"endpoint_label": api.raw_path}),
    _fault("label-raw-cardinality", "cardinality is the exact number", {"cardinality": api.raw_cardinality}),
    _fault("sum-exclusive", "a sum off by exactly 1e-6 is refused", {"adds_up": api.exclusive}),
    _fault("sum-in-floats", "sums are computed in floats", {"adds_up": api.in_floats}),
    _fault("malformed-accepted-in-off", "sums are not looked at in off", {"adds_up": api.unless_off}),
    _fault("alias-forgotten", "aliases of series-b are unknown", {"recognise": api.without_series_b}),
    _fault("look-alike-accepted", "seriesc is series-c", {"recognise": api.with_seriesc}),
    _fault("plus-unknown", "series-c+ is unknown", {"recognise": api.plus_unknown}),
    _fault("alias-500", "an alias with an underscore is a 500", {"recognise": api.crash_on_underscore}),
    _fault(
        "prototype-key-crash", "a stage named __proto__ or constructor is a 500", {"recognise": api.crash_on_prototype}
    ),
    _fault("nfkd-missing", "fullwidth letters are unknown", {"recognise": api.without_nfkd}),
    _fault("alias-not-normalized", "strategies keep aliases as sent", {"names": api.aliases_kept}),
    _fault("unknown-becomes-seed", "warn serves unknown as seed", {"names": api.seed_for_unknown}),
    _fault("valid-differs-in-enforce", "enforce rounds the mean", {"results": api.rounded_in_enforce}),
    _fault("cursor-drops-row", "every page but the first lacks a company", {"resume": api.after_following}),
    _fault(
        "alias-lost-after-migration",
        "companies are found by their stored text, so that the migration changes every answer",
        {"matches": api.as_stored},
    ),
    _fault(
        "slow-validator",
        "a validation takes 8 ms",
        {"examine": api.slowly, "clock": time.perf_counter},  # it sleeps, which takes no time of the thread
    ),
    _fault("openapi-without-headers", "OpenAPI names no header", {"describe": openapi.without_headers}),
    _fault("deprecations-empty", "/api/deprecations lists nothing", {"deprecations": api.nothing_deprecated}),
    _fault(
        "migration-defaults-unknown",
        "the migration turns unknown stages into seed",
        steps={"rename": migration.seed_for_unknown},
    ),
    _fault(
        "migration-drops-plus",
        "the migration turns spellings of series-c+ into series-c: companies answer differently",
        steps={"rename": migration.without_plus},
    ),
    _fault(
        "migration-drops-share",
        "of two spellings of a stage in an allocation the migration keeps one share",
        steps={"merge": migration.last_share},
    ),
    _fault("migration-unaudited", "no audit rows are written", steps={"audited": migration.none}),
    _fault(
        "migration-skips-row", "the last row of a batch is passed over", steps={"looked_at": migration.but_the_last}
    ),
    _fault("migration-touches-column", "updatedAt changes too", steps={"touches": ("updatedAt",)}),
    _fault("migration-plan-writes", "--plan changes rows", steps={"planned": migration.write_first}),
    _fault(
        "migration-digest-blind", "the digest is of the number of rows only", steps={"digest": migration.count_only}
    ),
    _fault(
        "migration-restore-loses-row",
        "restore leaves out the last row and does not compare",
        steps={"restored": migration.but_the_last, "compares": False},
    ),
    _fault(
        "release-does-not-roll-back",
        "the previous release says its version, and validates all the same",
        {"rolls_back": False},
    ),
    _fault(HALFWAY, "only the first instance is rolled, which is called done"),
    _fault("canary-slow", "the canary's answers take 60 ms longer", {"lag": api.canary_held_back}),
    _fault("errors-counter-missing", "rejects are counted nowhere", {"hidden": ("errors",)}),
    _fault("headers-counter-missing", "emitted headers are counted nowhere", {"hidden": ("headers",)}),
    _fault("metrics-down", "/metrics answers 503", {"observable": False}),
    _fault("flags-down", "the flag service answers 503", {"flags_known": False}),
    _fault("prometheus-down", "Prometheus is stopped right after the start"),
    _fault(SCRAPES_ONE, "Prometheus scrapes only the first instance"),
    _fault(NO_RULES, "Prometheus does not load the rule file"),
    _fault(NOT_SENT, "Alertmanager notifies nobody"),
    _fault(SILENCED, "a silence covers every alert"),
    _fault(NO_TRAFFIC, "nobody sends requests"),
)


def behaviour_with(names: Iterable[str]) -> Behaviour:
    """Return the API's behaviour with these faults; of two at one joint the later in the list wins."""
    chosen = check_names(names, FAULTS)
    behaviour = Behaviour()
    for fault in FAULTS:
        behaviour = replace(behaviour, **fault.behaviour) if fault.name in chosen else behaviour
    return behaviour


def steps_with(names: Iterable[str]) -> Steps:
    """Return the migration's steps with these faults."""
    chosen = check_names(names, FAULTS)
    steps = Steps()
    for fault in FAULTS:
        steps = replace(steps, **fault.steps) if fault.name in chosen else steps
    return steps
