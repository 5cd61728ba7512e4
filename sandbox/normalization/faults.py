"""The faults this system can be started with, and what ought to notice each one."""

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


@dataclass(frozen=True)
class Fault(sandbox.faults.Fault):
    """One way to break the system: what it replaces in Behaviour, or in the migration's Steps.

    Faults that replace nothing are the monitoring's; whoever starts it looks at their names.
    """

    system: ClassVar[str] = "normalization"
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)


ENFORCED = "relation: unknown is rejected in enforce"
SILENT_OFF = "relation: off sends no deprecation header"
SAME = "relation: a valid request is answered the same in every mode"
SAME_WARN = "relation: warn answers as off, plus headers"
ALIAS = "case: alias"
MODE = "gate: mode confirmed on every instance"
HEADERS = "case: deprecation headers"
COVERAGE = "gate: header coverage"
ERROR_BODY = "case: unknown, error body"
DELTAS = "case: metric deltas"
LABELS = "gate: bounded labels"
SUMS = "case: sum at 1 - 1e-6 and 1 + 1e-6"
OPENAPI = "coverage: OpenAPI"
REHEARSAL = "canary: migration rehearsal"
ROLLBACK = "canary: rollback rehearsal"
TELEMETRY = "gate: telemetry"
REQUESTS = "gate: request latency"
ALERTS = "canary: alert dry run"
SCRAPES_ONE, NO_RULES, NOT_SENT = "scrape-misses-instance", "rules-not-loaded", "alert-never-sent"
SILENCED, NO_TRAFFIC, HALFWAY = "alerts-silenced", "no-traffic", "release-stops-halfway"

FAULTS: tuple[Fault, ...] = (
    Fault("enforce-lets-pass", "enforce acts as warn at the strategies", (ENFORCED,), {"mode": api.enforce_is_warn}),
    Fault("off-warns", "off acts as warn at the companies", (SILENT_OFF, DELTAS), {"mode": api.off_is_warn}),
    Fault("warn-rejects", "warn acts as enforce at the simulation", (SAME_WARN,), {"mode": api.warn_is_enforce}),
    Fault(
        "canary-for-everybody", "every request meets the canary's mode", (MODE,), {"cohort": api.everybody_is_canary}
    ),
    Fault("instance-in-old-mode", "the second instance takes up no flip", (MODE,), {"hears": api.deaf_second}),
    Fault("flip-takes-long", "a flip takes 8 s longer to arrive", (MODE,), {"delay": api.late}),
    Fault("mode-gauge-lies", "the mode gauges show enforce, whatever the mode", (MODE,), {"gauge": api.always_two}),
    Fault(
        "headers-missing-on-companies",
        "the companies answer without deprecation headers",
        (HEADERS, COVERAGE),
        {"headers": api.none_on_companies},
    ),
    Fault("sunset-wrong-weekday", "Sunset names a Tuesday that is a Monday", (HEADERS,), {"headers": api.tuesday}),
    Fault("sunset-too-early", "Sunset is before Deprecation, and past", (HEADERS,), {"headers": api.too_early}),
    Fault("deprecation-legacy-form", "Deprecation is true, not a date", (HEADERS,), {"headers": api.legacy}),
    Fault("deprecation-twice", "there are two Deprecation headers", (HEADERS,), {"headers": api.twice}),
    Fault("link-without-relation", "Link has no relation", (HEADERS,), {"headers": api.without_relation}),
    Fault("header-echo", "X-Stage-Deprecated-Variants has the client's text", (HEADERS,), {"headers": api.echoed}),
    Fault("error-code-wrong", "the companies answer INVALID_QUERY", (ERROR_BODY,), {"refuse": api.other_code}),
    Fault("error-status-422", "a simulation is rejected with 422", (ERROR_BODY,), {"refuse": api.unprocessable}),
    Fault("body-echo", "error bodies hold the whole request", (ERROR_BODY, OPENAPI), {"refuse": api.echo}),
    Fault("correlation-id-missing", "error bodies have no id", (ERROR_BODY, OPENAPI), {"refuse": api.uncorrelated}),
    Fault("valid-stages-incomplete", "validStages lacks series-c+", (ERROR_BODY,), {"refuse": api.five_stages}),
    Fault("suggestion-missing", "no stage is suggested", (ERROR_BODY,), {"nearest": api.no_suggestion}),
    Fault("suggestion-too-far", "a stage is suggested for anything", (ERROR_BODY,), {"nearest": api.any_suggestion}),
    Fault(
        "reject-stores",
        "a strategy is stored before its stages are looked at",
        ("case: unknown, no side effect",),
        {"stores_first": True},
    ),
    Fault("rejects-uncounted", "rejects are not counted", (DELTAS,), {"counts": api.rejects_uncounted}),
    Fault(
        "headers-uncounted", "emitted headers are not counted", (DELTAS, COVERAGE), {"counts": api.headers_uncounted}
    ),
    Fault("errors-counted-twice", "every error counts as two", (DELTAS,), {"counts": api.errors_twice}),
    Fault("label-raw-path", "endpoint labels hold fund ids", (LABELS,), {"endpoint_label": api.raw_path}),
    Fault("label-raw-cardinality", "cardinality is the exact number", (LABELS,), {"cardinality": api.raw_cardinality}),
    Fault("sum-exclusive", "a sum off by exactly 1e-6 is refused", (SUMS,), {"adds_up": api.exclusive}),
    Fault("sum-in-floats", "sums are computed in floats", (SUMS,), {"adds_up": api.in_floats}),
    Fault(
        "malformed-accepted-in-off",
        "sums are not looked at in off",
        ("relation: malformed is 400 in every mode",),
        {"adds_up": api.unless_off},
    ),
    Fault("alias-forgotten", "aliases of series-b are unknown", (ALIAS,), {"recognise": api.without_series_b}),
    Fault("look-alike-accepted", "seriesc is series-c", ("case: seriesc",), {"recognise": api.with_seriesc}),
    Fault("plus-unknown", "series-c+ is unknown", (SAME, "case: series-c+"), {"recognise": api.plus_unknown}),
    Fault("alias-500", "an alias with an underscore is a 500", (ALIAS,), {"recognise": api.crash_on_underscore}),
    Fault(
        "prototype-key-crash",
        "a stage named __proto__ or constructor is a 500",
        ("case: prototype keys",),
        {"recognise": api.crash_on_prototype},
    ),
    Fault("nfkd-missing", "fullwidth letters are unknown", ("case: look-alikes",), {"recognise": api.without_nfkd}),
    Fault("alias-not-normalized", "strategies keep aliases as sent", (ALIAS,), {"names": api.aliases_kept}),
    Fault("unknown-becomes-seed", "warn serves unknown as seed", (SAME_WARN,), {"names": api.seed_for_unknown}),
    Fault("valid-differs-in-enforce", "enforce rounds the mean", (SAME,), {"results": api.rounded_in_enforce}),
    Fault(
        "cursor-drops-row",
        "every page but the first lacks a company",
        ("case: pages",),
        {"resume": api.after_following},
    ),
    Fault(
        "alias-lost-after-migration",
        "companies are found by their stored text, so that the migration changes every answer",
        (ALIAS, REHEARSAL),
        {"matches": api.as_stored},
    ),
    Fault(
        "slow-validator",
        "a validation takes 8 ms",
        ("stage1/validator-p99",),
        {"examine": api.slowly, "clock": time.perf_counter},  # it sleeps, which takes no time of the thread
    ),
    Fault("openapi-without-headers", "OpenAPI names no header", (OPENAPI,), {"describe": openapi.without_headers}),
    Fault(
        "deprecations-empty",
        "/api/deprecations lists nothing",
        ("case: deprecations",),
        {"deprecations": api.nothing_deprecated},
    ),
    Fault(
        "migration-defaults-unknown",
        "the migration turns unknown stages into seed",
        (REHEARSAL,),
        steps={"rename": migration.seed_for_unknown},
    ),
    Fault(
        "migration-drops-plus",
        "the migration turns spellings of series-c+ into series-c: companies answer differently",
        (REHEARSAL,),
        steps={"rename": migration.without_plus},
    ),
    Fault(
        "migration-drops-share",
        "of two spellings of a stage in an allocation the migration keeps one share",
        (REHEARSAL,),
        steps={"merge": migration.last_share},
    ),
    Fault("migration-unaudited", "no audit rows are written", (REHEARSAL,), steps={"audited": migration.none}),
    Fault(
        "migration-skips-row",
        "the last row of a batch is passed over",
        (REHEARSAL,),
        steps={"looked_at": migration.but_the_last},
    ),
    Fault("migration-touches-column", "updatedAt changes too", (REHEARSAL,), steps={"touches": ("updatedAt",)}),
    Fault("migration-plan-writes", "--plan changes rows", (REHEARSAL,), steps={"planned": migration.write_first}),
    Fault(
        "migration-digest-blind",
        "the digest is of the number of rows only",
        (REHEARSAL,),
        steps={"digest": migration.count_only},
    ),
    Fault(
        "migration-restore-loses-row",
        "restore leaves out the last row and does not compare",
        (REHEARSAL,),
        steps={"restored": migration.but_the_last, "compares": False},
    ),
    Fault(
        "release-does-not-roll-back",
        "the previous release says its version, and validates all the same",
        (ROLLBACK,),
        {"rolls_back": False},
    ),
    Fault(HALFWAY, "only the first instance is rolled, which is called done", (ROLLBACK,)),
    Fault(
        "canary-slow",
        "the canary's answers take 60 ms longer",
        (REQUESTS,),
        {"lag": api.canary_held_back},
    ),
    Fault("errors-counter-missing", "rejects are counted nowhere", ("gate: error rate",), {"hidden": ("errors",)}),
    Fault("headers-counter-missing", "emitted headers are counted nowhere", (COVERAGE,), {"hidden": ("headers",)}),
    Fault("metrics-down", "/metrics answers 503", (TELEMETRY,), {"observable": False}),
    Fault("flags-down", "the flag service answers 503", (MODE,), {"flags_known": False}),
    Fault("prometheus-down", "Prometheus is stopped right after the start", (TELEMETRY,)),
    Fault(SCRAPES_ONE, "Prometheus scrapes only the first instance", (TELEMETRY, MODE)),
    Fault(NO_RULES, "Prometheus does not load the rule file", (ALERTS,)),
    Fault(NOT_SENT, "Alertmanager notifies nobody", (ALERTS,)),
    Fault(SILENCED, "a silence covers every alert", (ALERTS,)),
    Fault(NO_TRAFFIC, "nobody sends requests", (COVERAGE,)),
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
