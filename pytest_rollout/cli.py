"""The ``rollout`` command."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

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


@main.command()
def lint(
    plans: Annotated[list[Path] | None, typer.Argument(help="Plans, or folders with plans.")] = None,
    environment: Annotated[
        str | None, typer.Option("--rollout-env", metavar="NAME", help="Ask the Prometheus of this environment, too.")
    ] = None,
    prometheus: Annotated[str | None, typer.Option(metavar="URL", help="Or the one at this address.")] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings, too.")] = False,
) -> None:
    """Say what is wrong with plans: gates that cannot fail, cannot pass, or read nothing."""
    from pytest_rollout.commands.lint import Against, lint_plans

    if environment and prometheus:
        raise typer.BadParameter("give one of --rollout-env and --prometheus")
    against = Against(environment=environment, prometheus=prometheus, at=time.time(), variables=os.environ)
    raise typer.Exit(lint_plans(plans or [], against, strict=strict, say=typer.echo))


@main.command()
def explain(
    verdict: Annotated[Path, typer.Argument(help="The verdict file of a run.")] = Path("reports/verdict.json"),
    check: Annotated[str | None, typer.Argument(help="Id of a check; without it, three lines of each.")] = None,
) -> None:
    """Say how a verdict came about: queries, instant, window, counts, interval, coverage, rule."""
    from pytest_rollout.commands.explain import explain_checks

    raise typer.Exit(explain_checks(verdict, check, typer.echo))


@main.command()
def replay(
    evidence: Annotated[
        Path, typer.Argument(help="An evidence bundle, or a verdict file for every one that it names.")
    ] = Path("reports/verdict.json"),
) -> None:
    """Judge kept evidence again, offline; exit status 0 only if every verdict comes out the same, bit for bit."""
    from pytest_rollout.commands.replay import replay as judge_again

    raise typer.Exit(judge_again(evidence, typer.echo))
