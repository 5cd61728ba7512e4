"""``rollout load``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_LIMITS, _PAIR, _LOAD = "Limits", "Candidate against control", "The load"


def _load(*names: str, metavar: str, told: str) -> object:
    return typer.Option(*names, metavar=metavar, help=told, rich_help_panel=_LOAD)


def _limit(name: str) -> object:
    told = f"{name} of the latency has to be below it."
    return typer.Option(f"--{name}", metavar="DURATION", help=told, rich_help_panel=_LIMITS)


def _worse(name: str) -> object:
    told = f"The candidate's {name} may be at most so much worse."
    return typer.Option(f"--{name}-worse", metavar="PERCENT", help=told, rich_help_panel=_PAIR)


_Text: TypeAlias = str | None
_Target = Annotated[
    _Text, typer.Option(metavar="URL", help="Where the load goes; else to the candidate. ${NAME} is filled in.")
]
_Reports = Annotated[Path, typer.Option(metavar="DIR", help="Results go into DIR/load.")]
_Rate = Annotated[_Text, _load("--rate", metavar="RATE", told="Arrivals on a schedule, such as 50/s.")]
_Users = Annotated[
    int | None, _load("--users", metavar="N", told="Instead: users who wait for answers. Can break limits, not pass.")
]
_For = Annotated[str, _load("--for", metavar="DURATION", told="How long, such as 2m.")]
_Arrivals = Annotated[_Text, _load("--arrivals", metavar="poisson|constant", told="The schedule; poisson.")]
_WarmUp = Annotated[_Text, _load("--warm-up", metavar="DURATION", told="Load before it, not judged; 5s.")]
_Drain = Annotated[_Text, _load("--drain", metavar="DURATION", told="Wait for answers so long in the end; 10s.")]
_Extend = Annotated[_Text, _load("--extend", metavar="DURATION", told="Go on so long while it does not decide; 0s.")]
_Workers = Annotated[int | None, _load("--workers", metavar="N", told="Processes beside a master; 0: one for all.")]
_Bind = Annotated[_Text, _load("--bind", metavar="HOST:PORT", told="Where workers join that are started elsewhere.")]
_Of = Annotated[_Text, _load("--of", metavar="transaction|request", told="What is judged; transaction with a rate.")]
_Name = Annotated[_Text, _load("--name", metavar="NAME", told="Only the requests (or tasks) of this name.")]
_Errors = Annotated[
    _Text, typer.Option(metavar="PERCENT", help="The share that fails has to be below it.", rich_help_panel=_LIMITS)
]
_Failures = Annotated[int | None, typer.Option(metavar="N", help="At most so many fail.", rich_help_panel=_LIMITS)]
_Confidence = Annotated[
    _Text,
    typer.Option(metavar="PERCENT|point", help="How often a pass has to be right; 95%.", rich_help_panel=_LIMITS),
]
_Side = typer.Option(metavar="URL", help="Both sides are asked in turn.", rich_help_panel=_PAIR)
_Absolute = Annotated[
    _Text, typer.Option(metavar="DURATION", help="A difference so small never counts.", rich_help_panel=_PAIR)
]


def load(  # noqa: PLR0913 - its options
    locustfile: Annotated[str, typer.Argument(help="portal is locustfiles/portal.py; or a path.")],
    *,
    target: _Target = None,
    reports: _Reports = Path("reports"),
    lasting: _For,
    rate: _Rate = None,
    users: _Users = None,
    arrivals: _Arrivals = None,
    warm_up: _WarmUp = None,
    drain: _Drain = None,
    extend: _Extend = None,
    workers: _Workers = None,
    bind: _Bind = None,
    of: _Of = None,
    name: _Name = None,
    p50: Annotated[_Text, _limit("p50")] = None,
    p90: Annotated[_Text, _limit("p90")] = None,
    p95: Annotated[_Text, _limit("p95")] = None,
    p99: Annotated[_Text, _limit("p99")] = None,
    p999: Annotated[_Text, _limit("p99.9")] = None,
    errors: _Errors = None,
    failures: _Failures = None,
    confidence: _Confidence = None,
    control: Annotated[_Text, _Side] = None,
    candidate: Annotated[_Text, _Side] = None,
    p50_worse: Annotated[_Text, _worse("p50")] = None,
    p90_worse: Annotated[_Text, _worse("p90")] = None,
    p95_worse: Annotated[_Text, _worse("p95")] = None,
    p99_worse: Annotated[_Text, _worse("p99")] = None,
    p999_worse: Annotated[_Text, _worse("p99.9")] = None,
    absolute: _Absolute = None,
) -> None:
    """Make a load by a locustfile and judge it, without a plan.

    Exit status: 0 every limit is proven to hold (GO), 1 one is broken (NO-GO), 2 nothing was done, 3 neither is
    proven (HOLD). Without any limit it measures and proves nothing: 3.
    """
    from pytest_rollout.commands.load import Asked, load as make_load

    options = {"rate": rate, "users": users, "for": lasting, "arrivals": arrivals, "warm-up": warm_up, "drain": drain}
    options |= {"extend": extend, "workers": workers, "bind": bind, "of": of, "name": name}
    options |= {"p50": p50, "p90": p90, "p95": p95, "p99": p99, "p99.9": p999}
    options |= {"errors": errors, "failures": failures, "confidence": confidence}
    options |= {"control": control, "candidate": candidate, "absolute": absolute}
    options |= {"p50-worse": p50_worse, "p90-worse": p90_worse, "p95-worse": p95_worse, "p99-worse": p99_worse}
    options |= {"p99.9-worse": p999_worse}
    asked = Asked(
        locustfile=locustfile,
        target=target,
        options=options,
        reports=reports,
        folder=Path.cwd(),
        variables=os.environ,
    )
    raise typer.Exit(make_load(asked, typer.echo, lambda text: typer.echo(text, err=True)))
