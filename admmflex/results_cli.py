"""Commands that read results: report, compare, export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

Form = Literal["pandapower", "csv", "parquet", "csip-aus", "openadr"]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a result.", show_default=False)]


def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="Where to write the page [default: DIR/report.html].")] = None,
) -> None:
    """Write one HTML page about a result.

    It needs no network and nothing beside it; every run ends with it. Exit codes: 0 ok, 2 bad input.
    """
    with _of_a_run(str(folder)):
        from admmflex.report import document, page
        from admmflex.results import require

        text = page.page(require(folder))
        typer.echo(document.save(text, out or folder / page.NAME))


def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Folders of results, two or more.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("comparison.html"),
) -> None:
    """Put results of one scenario side by side.

    Cost, limits, fairness, data and time of several methods.

    A table here, and a page. Exit codes: 0 ok, 2 bad input, different scenarios included.
    """
    with _of_a_run("compare"):
        from rich.console import Console

        from admmflex.comparison import compare as side_by_side
        from admmflex.console import WIDTH, comparison_tables
        from admmflex.report import comparison_page, document
        from admmflex.results import require_all

        results = require_all(folders)
        found = side_by_side(results)
        console = Console(width=WIDTH, highlight=False)
        for table in comparison_tables(found.rows):
            console.print(table)
        for note in found.notes:
            console.print(f"note: {note}", markup=False)
        console.print(f"\npage  {document.save(comparison_page.page(found, results), out)}", markup=False)


def export(
    folder: Folder,
    to: Annotated[Form, typer.Option(help="Form to write.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder or file to write [default: in DIR, by form].")] = None,
    step: Annotated[int | None, typer.Option(help="pandapower: step, from 0 [default: highest loading].")] = None,
    at: Annotated[str | None, typer.Option(help="pandapower: local time in the step, instead of --step.")] = None,
    network: Annotated[Path | None, typer.Option(help="pandapower: the grid file, if it was moved.")] = None,
    default_export_kw: Annotated[
        float, typer.Option(min=0.0, help="csip-aus: export of a home without communication, kW.")
    ] = 0.0,
) -> None:
    """Write a result for other tools.

    pandapower: the grid with the plan, its profiles, and one step's power flow. csv, parquet: every variable as a
    table. csip-aus: DERControls of IEEE 2030.5. openadr: prices as events. Exit codes: 0 ok, 2 bad input.
    """
    with _of_a_run(str(folder)):
        from admmflex import export as forms
        from admmflex.results import require

        asked = forms.Asked(step=step, at=at, network=network, default_export_kw=default_export_kw)
        typer.echo(forms.write(require(folder), to, out, asked))


@contextmanager
def faults_told(source: str) -> Iterator[None]:
    """Print the faults of bad input and leave with 2."""
    from admmflex.errors import ExitCode, InputError

    try:
        yield
    except InputError as error:
        from admmflex.console import fault_list

        typer.echo(fault_list(error, source), err=True)
        raise typer.Exit(ExitCode.BAD_INPUT) from None


@contextmanager
def _of_a_run(source: str) -> Iterator[None]:
    """The same; so does what a result holds that no run writes."""
    from admmflex.errors import Fault, InputError

    with faults_told(source):
        try:
            yield
        except InputError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            value = f"cannot be shown: {type(error).__name__}: {error}"
            remedy = "run the scenario again; if that does not help, report it"
            raise InputError(Fault("result", value, "results as 'admmflex run' writes them", remedy)) from error
