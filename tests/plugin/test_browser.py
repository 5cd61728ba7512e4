"""Which Chromium is used."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_rollout.plugin.browser import Browser, find_browser

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what puts a fake browser on an otherwise empty PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("ROLLOUT_BROWSER", "PLAYWRIGHT_BROWSERS_PATH"):
        monkeypatch.delenv(name, raising=False)
    find_browser.cache_clear()

    def put(name: str, script: str = "echo Chromium 120.0.1 built somewhere", folder: Path = programs) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return put


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    find_browser.cache_clear()


def of_playwright(home: Path, *names: str) -> None:
    for name in names:
        (home / name).mkdir(parents=True)
        (home / name / "INSTALLATION_COMPLETE").touch()


@pytest.mark.usefixtures("install")
def test_without_any_it_says_how_to_get_one() -> None:
    assert find_browser() == Browser("none", None, "(run: make setup)")
    assert str(find_browser()) == "none (run: make setup)"


def test_the_systems_browsers_in_order(install: Install) -> None:
    for name in ("google-chrome", "chromium-browser", "chromium", "chromium-headless-shell"):
        path = install(name)
        find_browser.cache_clear()

        assert find_browser() == Browser(name, str(path), "120.0.1")


def test_playwrights_own_comes_before_the_systems(install: Install, tmp_path: Path) -> None:
    install("chromium")
    of_playwright(tmp_path / "home" / ".cache" / "ms-playwright", "chromium-1100", "chromium-1200")
    (tmp_path / "home" / ".cache" / "ms-playwright" / "chromium-1300").mkdir()  # was never finished

    assert find_browser() == Browser("playwright-chromium", None, "chromium-1200")


def test_playwrights_folder_may_be_elsewhere(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("chromium")
    of_playwright(tmp_path / "elsewhere", "chromium_headless_shell-1150")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "elsewhere"))

    assert find_browser().version == "chromium_headless_shell-1150"


@pytest.mark.parametrize("by", ["path", "name"])
def test_the_one_asked_for_comes_first(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    install("chromium")
    of_playwright(tmp_path / "home" / ".cache" / "ms-playwright", "chromium-1100")
    mine = install("my-browser", "echo Mine 7.5")
    monkeypatch.setenv("ROLLOUT_BROWSER", str(mine) if by == "path" else "my-browser")

    assert find_browser() == Browser("my-browser", str(mine), "7.5")


def test_the_one_asked_for_is_never_replaced_by_another(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("chromium")
    monkeypatch.setenv("ROLLOUT_BROWSER", "/nowhere/chrome")

    assert find_browser() == Browser("none", None, "(ROLLOUT_BROWSER=/nowhere/chrome is not a program)")


@pytest.mark.parametrize(
    "script", ["echo no digits here", "exit 3", "echo >&2 'Chromium 1.2'"], ids=["no version", "fails", "stderr"]
)
def test_a_browser_that_does_not_tell_its_version_is_used(install: Install, script: str) -> None:
    path = install("chromium", script)

    assert find_browser() == Browser("chromium", str(path), "")
    assert str(find_browser()) == "chromium"


def test_a_browser_that_cannot_be_run_is_named(install: Install) -> None:
    path = install("chromium")
    path.write_bytes(b"\x00not a program")

    assert find_browser() == Browser("chromium", str(path), "")
    assert os.access(path, os.X_OK)
