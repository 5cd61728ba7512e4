"""Modes in the store and on the board: changes, cohorts, delay."""

from pathlib import Path

import pytest

from sandbox.normalization.app import initial_modes
from sandbox.normalization.db import open_database
from sandbox.normalization.deployment import create_database
from sandbox.normalization.mode_board import ModeBoard
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import COMPANIES, ENDPOINTS, MONTE_CARLO, STRATEGIES, Mode, ModeWish

NOW = 1_000.0


@pytest.fixture
def store(tmp_path: Path) -> ModeStore:
    path = create_database(tmp_path, dict.fromkeys(ENDPOINTS, Mode.OFF), companies=1)
    return ModeStore(open_database(path))


def wish(mode: Mode | None, cohort: str = "*") -> ModeWish:
    return ModeWish(cohort, mode, "tester", "test")


def test_one_endpoint_is_changed_alone(store: ModeStore) -> None:
    rules = store.change([COMPANIES], wish(Mode.WARN), at=NOW)
    assert [rules.mode(endpoint) for endpoint in ENDPOINTS] == [Mode.OFF, Mode.OFF, Mode.WARN]
    assert rules.revision == 4


def test_what_is_set_already_is_no_change(store: ModeStore) -> None:
    assert store.change(ENDPOINTS, wish(Mode.OFF), at=NOW).revision == 3
    assert store.change(ENDPOINTS, wish(None, "canary"), at=NOW).revision == 3


def test_cohort_has_its_own_mode_until_it_is_removed(store: ModeStore) -> None:
    rules = store.change([MONTE_CARLO], wish(Mode.ENFORCE, "canary"), at=NOW)
    assert (rules.mode(MONTE_CARLO, "canary"), rules.mode(MONTE_CARLO)) == (Mode.ENFORCE, Mode.OFF)
    rules = store.change([MONTE_CARLO], wish(None, "canary"), at=NOW)
    assert rules.mode(MONTE_CARLO, "canary") is Mode.OFF
    last = store.changes()[-1]
    assert (last.cohort, last.before, last.after, last.actor) == ("canary", Mode.ENFORCE, None, "tester")


def test_change_for_everybody_reaches_every_cohort(store: ModeStore) -> None:
    store.change(ENDPOINTS, wish(Mode.ENFORCE, "canary"), at=NOW)
    rules = store.change([STRATEGIES], wish(Mode.WARN), at=NOW)
    assert rules.mode(STRATEGIES, "canary") is Mode.WARN
    assert rules.mode(MONTE_CARLO, "canary") is Mode.ENFORCE, "another endpoint's cohorts stay"
    assert rules.of(STRATEGIES) == {"*": Mode.WARN}


def test_board_takes_up_a_change_after_its_delay(store: ModeStore) -> None:
    clock = [NOW]
    board = ModeBoard(store, 2.0, clock=lambda: clock[0])
    store.change(ENDPOINTS, wish(Mode.WARN), at=NOW)
    store.change([COMPANIES], wish(Mode.ENFORCE), at=NOW + 1)
    seen = []
    for seconds in (0, 1.9, 2, 2.9, 3):
        clock[0] = NOW + seconds
        seen.append((board.rules().mode(MONTE_CARLO), board.rules().mode(COMPANIES)))
    off, warn, enforce = Mode
    assert seen == [(off, off), (off, off), (warn, warn), (warn, warn), (warn, enforce)]
    assert board.rules().revision == 7


def test_board_starts_with_what_was_set_before_whatever_its_delay(store: ModeStore) -> None:
    store.change(ENDPOINTS, wish(Mode.WARN), at=NOW)
    assert ModeBoard(store, 5.0, clock=lambda: NOW).rules().mode(MONTE_CARLO) is Mode.WARN


def test_environment_sets_the_modes_to_start_with() -> None:
    environment = {"STAGE_VALIDATION_MODE": " Warn ", "STAGE_VALIDATION_MODE_COMPANIES": "off"}
    assert list(initial_modes(environment).values()) == [Mode.WARN, Mode.WARN, Mode.OFF]
    assert list(initial_modes({}).values()) == [Mode.OFF] * 3
    with pytest.raises(ValueError, match="'on' is not a valid Mode"):
        initial_modes({"STAGE_VALIDATION_MODE": "on"})
