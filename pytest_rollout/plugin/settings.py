"""Options and ini keys, read once. Nothing outside the standard library and pytest is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from pytest_rollout.errors import EvidenceError
from pytest_rollout.units import parse_duration

_PUSH = ("always", "never")
_LOOKS = ("collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the command line and the ini file ask for."""

    plans: tuple[Path, ...]
    goldens: tuple[Path, ...] = ()
    """Where golden cases are looked for in a run from the root."""
    environment: str
    wait: float | None
    """Seconds; None leaves it to the environment."""
    faults: tuple[str, ...]
    push: bool
    reports: Path
    evidence: Path | str
    """A file, or the URL of a PostgreSQL database."""
    spool: Path
    """Folder for what could not be pushed yet."""
    flipped_at: float | None
    canary: str | None

    @classmethod
    def of(cls, config: pytest.Config) -> Settings:
        """Read the settings of a run. Raises pytest.UsageError."""
        get = config.getoption
        evidence = _address(config, get("rollout_evidence") or config.getini("rollout_evidence"))
        return cls(
            plans=tuple(config.rootpath / place for place in config.getini("rollout_plans")),
            goldens=tuple(config.rootpath / place for place in config.getini("rollout_goldens")),
            environment=get("rollout_env") or config.getini("rollout_environment"),
            wait=_duration(get("rollout_wait")),
            faults=tuple(get("rollout_fault")),
            push=_push(get("rollout_push") or config.getini("rollout_push")),
            reports=_path(config, get("rollout_reports") or config.getini("rollout_reports")),
            evidence=evidence,
            spool=(evidence.parent if isinstance(evidence, Path) else config.rootpath / ".rollout") / "spool",
            flipped_at=_instant(get("rollout_flipped_at")),
            canary=get("rollout_canary"),
        )


def add_options(parser: pytest.Parser) -> None:
    """Register every option and ini key. Option help: capital first letter, no full stop for one phrase."""
    group = parser.getgroup("rollout", "staged rollout gates")
    group.addoption("--rollout-env", metavar="NAME", help="Environment of the plan to judge")
    group.addoption(
        "--rollout-wait", metavar="DURATION", help="How long to wait for evidence that can still arrive, such as 3m"
    )
    group.addoption(
        "--rollout-fault", metavar="NAME", action="append", default=[], help="Switch on a fault of the sandbox"
    )
    group.addoption("--rollout-push", choices=_PUSH, help="Push results to the Pushgateway")
    group.addoption("--rollout-reports", metavar="DIR", help="Folder for verdict.json and screenshots")
    group.addoption("--rollout-evidence", metavar="PLACE", help="The evidence log: a file, or a postgresql:// URL")
    group.addoption(
        "--rollout-flipped-at",
        metavar="TIME",
        help="When the stage's flags were changed, with a UTC offset, if the flag service cannot tell",
    )
    group.addoption("--rollout-canary", metavar="NAME", help="Run one canary and record its outcome")
    _add_golden_options(parser.getgroup("golden", "golden payloads"))
    parser.addini("rollout_plans", "Files and folders with *.rollout.yaml plans", type="paths", default=["canaries"])
    parser.addini(
        "rollout_goldens",
        "Folders with golden corpora, for a run from the root",
        type="paths",
        default=["golden_payloads"],
    )
    parser.addini("rollout_environment", "Environment of the plan to judge", default="sandbox")
    parser.addini("rollout_push", "Push results to the Pushgateway: always or never", default="always")
    parser.addini("rollout_reports", "Folder for verdict.json and screenshots", default="reports")
    parser.addini(
        "rollout_evidence", "The evidence log: a file, or a postgresql:// URL", default=".rollout/evidence.db"
    )


def _add_golden_options(group: pytest.OptionGroup) -> None:
    group.addoption("--golden-bless", metavar="ID[,ID]", help="Approve what these cases receive as their new golden")
    group.addoption("--golden-reason", metavar="TEXT", default="", help="Why it is approved")
    group.addoption("--golden-learn", action="store_true", help="Propose matchers for what is not the same every time")
    group.addoption(
        "--golden-propose",
        metavar="ID=KIND",
        action="append",
        default=[],
        help="Write cases of a kind, each with a single fault put into a valid case by the OpenAPI schema",
    )


def only_looks(config: pytest.Config) -> bool:
    """Whether nothing is run: pytest only shows what there is."""
    return any(config.getoption(name, default=False) for name in _LOOKS)


def _path(config: pytest.Config, text: str) -> Path:
    return (config.rootpath / Path(text).expanduser()).resolve()


def _address(config: pytest.Config, text: str) -> Path | str:
    if "://" not in text:
        return _path(config, text)
    from pytest_rollout.evidence.database import url_of

    try:
        url_of(text)  # before anything is written: a password would stand in every report
    except EvidenceError as exc:
        raise pytest.UsageError(f"--rollout-evidence: {exc}") from None
    return text


def _push(word: str) -> bool:
    if word not in _PUSH:
        raise pytest.UsageError(f"rollout_push: {word!r} is neither {' nor '.join(_PUSH)}")
    return word == "always"


def _duration(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return 0.0 if text == "0" else parse_duration(text)
    except ValueError as exc:
        raise pytest.UsageError(f"--rollout-wait: {exc}") from exc


def _instant(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise pytest.UsageError(f"--rollout-flipped-at: {exc}; write 2025-09-26T14:30:00+00:00") from exc
    if moment.tzinfo is None:
        raise pytest.UsageError(f"--rollout-flipped-at: {text!r} has no UTC offset; write 2025-09-26T14:30:00+00:00")
    return moment.timestamp()
