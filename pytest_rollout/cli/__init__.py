"""The ``rollout`` command."""

from __future__ import annotations

import getpass
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from pytest_rollout.cli.evidence import LOG, Log, evidence
from pytest_rollout.cli.load import load
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


@main.command()
def rules(
    plans: Annotated[Path, typer.Argument(help="A plan, or a folder with plans.")] = Path("canaries"),
    environment: Annotated[
        str, typer.Option("--rollout-env", metavar="NAME", help="The environment that is watched.")
    ] = "production",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there, not to the terminal.")] = None,
) -> None:
    """Render alerts for Prometheus: a canary of the plan has stopped, has never run, or is not ok."""
    from pytest_rollout.commands.rules import render_rules

    raise typer.Exit(render_rules(plans, environment, output, typer.echo))


main.command()(load)
main.add_typer(evidence, name="evidence")

_Rollout = Annotated[str, typer.Argument(help="The rollout, as its plan calls it.")]
_Stage = Annotated[str, typer.Argument(help="The stage, such as stage3.")]
_By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says it.")]
_Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in one line.")]
_Environment = Annotated[str, typer.Option("--rollout-env", metavar="NAME", help="The environment it is about.")]
_Plan = Annotated[Path, typer.Option("--plan", metavar="PATH", help="A plan, or a folder with plans.")]


@main.command()
def attest(  # noqa: PLR0913 - its options
    rollout: _Rollout,
    stage: _Stage,
    gate: Annotated[str, typer.Argument(help="The gate that asks.")],
    *,
    by: _By,
    reason: _Reason,
    yes: Annotated[bool, typer.Option("--yes", help="The answer is yes.")] = False,
    no: Annotated[bool, typer.Option("--no", help="The answer is no.")] = False,
    link: Annotated[str, typer.Option(metavar="URL", help="Where it can be seen.")] = "",
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long it holds; as long as the plan allows.")
    ] = None,
    environment: _Environment = "sandbox",
    log: Log = LOG,
    plan: _Plan = Path("canaries"),
) -> None:
    """Answer the question of a gate that asks people; the answer is bound to the evidence as it is now."""
    from pytest_rollout.commands.attest import Around, Statement, attest

    said = Statement(
        rollout=rollout,
        stage=stage,
        gate=gate,
        by=by,
        reason=reason,
        expires=expires,
        environment=environment,
        answer=yes if yes is not no else None,
        link=link,
    )
    raise typer.Exit(attest(said, Around(plans=plan, evidence=log, variables=os.environ), typer.echo))


@main.command()
def waive(  # noqa: PLR0913 - its options
    rollout: _Rollout,
    stage: _Stage,
    gate: Annotated[str, typer.Argument(help="The gate whose risk is taken.")],
    *,
    by: _By,
    reason: _Reason,
    expires: Annotated[str, typer.Option(metavar="DURATION", help="How long it is shown, such as 24h.")],
    environment: _Environment = "sandbox",
    log: Log = LOG,
    plan: _Plan = Path("canaries"),
) -> None:
    """Take the risk of a check that did not pass: shown on every report, and never counted as passed."""
    from pytest_rollout.commands.attest import Around, Statement, waive

    said = Statement(
        rollout=rollout, stage=stage, gate=gate, by=by, reason=reason, expires=expires, environment=environment
    )
    raise typer.Exit(waive(said, Around(plans=plan, evidence=log, variables=os.environ), typer.echo))


_Plans = Annotated[Path, typer.Argument(metavar="PLAN|FOLDER", help="A plan, or a folder with plans.")]
_Reports = Annotated[Path, typer.Option("--rollout-reports", metavar="DIR", help="Folder for logs and screenshots.")]


@main.command()
def watch(  # noqa: PLR0913 - its options
    plans: _Plans = Path("canaries"),
    *,
    expression: Annotated[
        str, typer.Option("-m", metavar="EXPRESSION", help="Which canaries: their names, with _ for -; canary is all.")
    ] = "canary",
    every: Annotated[
        str | None, typer.Option(metavar="DURATION", help="The period of canaries that have none in the plan.")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="How long, in the plan's time; else until Ctrl-C.")
    ] = None,
    environment: _Environment = "sandbox",
    log: Log = LOG,
    reports: _Reports = Path("reports"),
) -> None:
    """Run canaries by their schedules; exit status 0 only if every slot that came was ok."""
    from pytest_rollout.commands.watch import Wish, watch as keep_watch
    from pytest_rollout.commands.where import Where

    wish = Wish(expression=expression, every=every, lasting=lasting)
    where = Where(plans=plans, environment=environment, evidence=log, reports=reports, root=Path.cwd())
    raise typer.Exit(keep_watch(wish, where, lambda text: typer.echo(text, nl=False)))


@main.command("run-slot")
def run_slot(
    canary: Annotated[str, typer.Argument(help="The canary.")],
    plans: _Plans = Path("canaries"),
    *,
    environment: _Environment = "sandbox",
    log: Log = LOG,
    reports: _Reports = Path("reports"),
) -> None:
    """Run a canary's slot in progress, for cron and the like: 0 it was ok, 1 it was not, 3 somebody else has it."""
    from pytest_rollout.commands.run_slot import run_slot as run_once
    from pytest_rollout.commands.where import Where

    where = Where(plans=plans, environment=environment, evidence=log, reports=reports, root=Path.cwd())
    raise typer.Exit(run_once(canary, where, typer.echo))


def _login() -> str:
    """Return who is logged in; empty if nobody knows, as in some containers."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return ""


@main.command()
def rollback(  # noqa: PLR0913 - its options
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, or a folder with one.")],
    action: Annotated[
        str | None, typer.Argument(help="The action to carry out; without it, show the playbook.")
    ] = None,
    *,
    environment: Annotated[
        str, typer.Option("--rollout-env", "--env", metavar="NAME", help="The environment it is about.")
    ] = "sandbox",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in one line.")] = "",
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who does it; else whoever is logged in.")] = "",
    log: Log = LOG,
) -> None:
    """Go back by the plan's playbook, an action at a time: 0 proven to be done, 1 not proven, 2 nothing was done."""
    from pytest_rollout.commands.rollback import Asked, rollback as go_back

    asked = Asked(
        plan=plan,
        action=action,
        environment=environment,
        by=by or _login(),
        reason=reason,
        evidence=log,
        variables=os.environ,
        folder=Path.cwd(),
    )
    raise typer.Exit(go_back(asked, typer.echo))
