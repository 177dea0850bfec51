"""The command that copies an example that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from admmflex.results_cli import faults_told


def example(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which one; without it, all are listed.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder to write [default: NAME].")] = None,
) -> None:
    """Copy an example, to run and to change it.

    It comes with the package. Nothing is overwritten. Exit codes: 0 ok, 2 bad input.
    """
    from admmflex import examples

    if name is None:
        for known, title in examples.titles().items():
            typer.echo(f"{known:<10} {title}")
        typer.echo("\ncopy one   admmflex example NAME")
        return
    with faults_told("example"):
        folder = out or Path(name)
        examples.copy(name, folder)
        typer.echo(f"{folder / examples.README} tells what each file shows; next:\n")
        typer.echo(f"admmflex run {folder / examples.FIRST}")
