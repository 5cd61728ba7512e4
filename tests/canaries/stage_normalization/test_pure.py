"""What the canaries compare, where no fault of the sandbox shows it alone."""

from __future__ import annotations

import pytest

from canaries.stage_normalization.endpoints import (
    COMPANIES,
    DEPRECATION,
    MONTE_CARLO,
    SPELLINGS,
    STAGES,
    STRATEGIES,
    UNKNOWN,
    Answer,
    Finding,
    UnclearError,
    finding,
)
from canaries.stage_normalization.instances import Exposition, require, until
from canaries.stage_normalization.labels import ALLOWED, growth, series, wrong_labels
from canaries.stage_normalization.odd import odd_requests
from sandbox.normalization import stages

WARNED = dict.fromkeys(DEPRECATION, "x") | {"x-stage-deprecated-variants": "series-a"}
PAGE = {"stage": "serie-a", "data": []}
REFUSED = {
    "error": "invalid_query_parameters",
    "details": {"code": "INVALID_STAGE", "invalid": ["serie-a"], "suggestions": {}, "validStages": list(STAGES)},
}
HEALTHY: Exposition = {
    family: (({label: min(values) for label, values in labels.items()}, 1.0),) for family, labels in ALLOWED.items()
}
ERRORS = "stage_validation_errors"


def found(status: int, headers: dict[str, str], body: object) -> Finding:
    return finding(COMPANIES, "serie-a", Answer(status, headers, body))


def test_answers_are_told_apart() -> None:
    assert found(200, {}, PAGE) == Finding("served", "serie-a")
    assert found(200, WARNED, PAGE) == Finding("warned", "serie-a", "series-a")
    assert found(400, {}, REFUSED) == Finding("rejected", None, "unknown")


@pytest.mark.parametrize("missing", DEPRECATION)
def test_warning_needs_every_header(missing: str) -> None:
    headers = {name: value for name, value in WARNED.items() if name != missing}
    with pytest.raises(UnclearError, match=f"companies: the answer to 'serie-a' lacks the headers {missing}$"):
        found(200, headers, PAGE)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (400, WARNED, REFUSED),
        (400, {}, "no JSON"),
        (400, {}, {**REFUSED, "error": "malformed_request"}),
        (500, {}, REFUSED),
        (204, {}, ""),
    ],
    ids=["warned and refused", "text", "malformed", "crashed", "nothing"],
)
def test_other_answers_are_unclear(status: int, headers: dict[str, str], body: object) -> None:
    with pytest.raises(UnclearError):
        found(status, headers, body)


def test_stage_is_read_where_each_endpoint_shows_it() -> None:
    assert MONTE_CARLO.shown({"stageDistribution": [{"stage": "seed", "weight": 1}]}) == "seed"
    assert STRATEGIES.shown({"stageAllocation": {"seed": 1}}) == "seed"
    assert COMPANIES.shown({"stage": "seed"}) == "seed"


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda one: str(one.text))
def test_spellings_are_what_the_sandbox_takes_them_for(spelling: object) -> None:
    text, stage, near = (getattr(spelling, name) for name in ("text", "stage", "near"))
    assert stages.recognise(text) == stage
    assert stage or near == (stages.nearest(text) or "unknown")


def test_unknown_stage_tells_the_three_modes_apart() -> None:
    assert [UNKNOWN.expected(mode).treated for mode in ("off", "warn", "enforce")] == ["served", "warned", "rejected"]


def test_healthy_labels_pass() -> None:
    assert wrong_labels(HEALTHY) == []


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ({name: samples for name, samples in HEALTHY.items() if name != ERRORS}, f"there is no family {ERRORS}"),
        ({**HEALTHY, "stage_validation_new": ()}, "the family stage_validation_new is not known; name its labels in"),
        ({**HEALTHY, ERRORS: (({**HEALTHY[ERRORS][0][0], "fund": "3"}, 1.0),)}, f"{ERRORS} has a label fund"),
        (
            {**HEALTHY, ERRORS: (({"endpoint": "/api/portfolio/strategies", "mode": "warn"}, 1.0),)},
            f"{ERRORS} lacks the",
        ),
    ],
    ids=["missing", "unknown", "label", "fewer"],
)
def test_labels_that_nobody_has_allowed(read: Exposition, said: str) -> None:
    (line,) = wrong_labels(read)
    assert line.startswith(said)


def test_series_that_has_come_is_named() -> None:
    more: Exposition = {**HEALTHY, "http_requests": (({"route": "/odd/1"}, 1.0),)}
    assert growth(series(HEALTHY), series(more)) == ["http_requests{'route': '/odd/1'} has come"]
    assert growth(series(more), series(HEALTHY)) == []


def test_rounds_of_odd_requests_are_alike_and_share_nothing() -> None:
    first, second = ([str(ask) for ask in odd_requests(turn)] for turn in (1, 2))
    assert len(first) == len(second) >= 60
    assert len(set(first) & set(second)) <= 1  # one that asks for nothing odd but its path


def test_first_trouble_is_in_the_first_line() -> None:
    with pytest.raises(AssertionError, match=r"^when: one \(and 1 more\)\n- two$"):
        require("when", ["one", "two"])
    require("when", [])


def test_looking_goes_on_until_it_is_quiet_several_times() -> None:
    looks = iter([["a"], [], ["b"], [], [], []])
    assert until(lambda: next(looks), 5) == []
    assert list(looks) == []
    assert until(lambda: ["never"], 0) == ["never"]
