"""The ``rollout`` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from pytest_rollout.errors import EnvironmentUnready
from pytest_rollout.sandbox import sandbox_home

main = typer.Typer(no_args_is_help=True, add_completion=False, help="Staged rollouts: GO, NO-GO or HOLD.")
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@main.callback()
def _root() -> None:
    """Keep subcommands subcommands, even while there is only one."""


@main.command(context_settings=_PASSED_ON)
def sandbox(context: typer.Context) -> None:
    """The reference target: `rollout sandbox up`, `rollout sandbox faults`; see `rollout sandbox --help`."""
    try:
        home = sandbox_home(Path.cwd())
    except EnvironmentUnready as exc:
        typer.echo(f"rollout: {exc}", err=True)
        raise typer.Exit(2) from exc
    paths = [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    os.execve(sys.executable, [sys.executable, "-m", "sandbox", *context.args], environment)  # noqa: S606 - ourselves
