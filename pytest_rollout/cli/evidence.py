"""``rollout evidence``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytest_rollout.evidence.record import Kind

evidence = typer.Typer(no_args_is_help=True, help="The evidence log: is it whole, and what is in it?")
Log = Annotated[str, typer.Option("--rollout-evidence", metavar="FILE|URL", help="The evidence log.")]
LOG = ".rollout/evidence.db"


def _aside(text: str) -> None:
    typer.echo(text, err=True)


@evidence.command("verify")
def verify_evidence(
    log: Log = LOG,
    head: Annotated[
        str | None, typer.Option(metavar="COUNT:HASH", help="A head that was printed or kept, of now or of earlier.")
    ] = None,
) -> None:
    """Check every record and the chain; exit status 1 and the first broken record, if there is one.

    Without --head, records that were cut off together with the log's own head are not missed.
    """
    from pytest_rollout.commands.evidence import verify_log

    raise typer.Exit(verify_log(log, head, typer.echo))


@evidence.command("export")
def export_evidence(
    log: Log = LOG,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there, not to the terminal.")] = None,
) -> None:
    """Write JSON Lines, each exactly as it was hashed.

    The SHA-256 of a line, without its line feed, is what the next line has as "prev"; that of the last is the head's.
    """
    from pytest_rollout.commands.evidence import export_log

    raise typer.Exit(export_log(log, output, _aside))


@evidence.command("show")
def show_evidence(
    log: Log = LOG,
    kind: Annotated[Kind | None, typer.Option(help="Only this kind.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only this canary, stage, gate or flag.")] = None,
    last: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only so many, the newest.")] = None,
) -> None:
    """Say a line for each record, the newest last."""
    from pytest_rollout.commands.evidence import show_log

    raise typer.Exit(show_log(log, kind, subject, last, typer.echo))
