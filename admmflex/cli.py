"""The command line. Exit codes: 0 ok, 2 bad input, 3 infeasible, 4 not converged, 75 rank lost, 130 stopped."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from admmflex import example_cli, results_cli
from admmflex.asked import Method, Options, going_on, left_behind

if TYPE_CHECKING:
    from rich.console import Console

    from admmflex.coordination.keeper import Stop
    from admmflex.progress import Display
    from admmflex.results import Result
    from admmflex.scenario import Scenario
    from grid.errors import InputError

app = typer.Typer(
    name="admmflex",
    help="Agree with prosumers on powers that a low-voltage grid can carry.",
    epilog="First: admmflex run experiments/rural1/check.yaml. A scenario of your own: docs/scenarios.md.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 80},
)
METHODS = (
    "Instead of the scenario's coordination.method. admm: prices. charts: cost charts, step by step. central: one "
    "problem, as a yardstick. none: every home for itself. export-limits: for scenarios of that kind only."
)
ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file (YAML).", show_default=False)]

TERMINAL = "ADMMFLEX_TERMINAL"
"""For the ranks: 1 when what they write reaches a terminal, 0 when not. They write to mpirun and cannot see it."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    """Entry point of ``admmflex`` and ``python -m admmflex``."""
    for name in THREADS:  # before numpy is imported: matrices are small, and ranks share the cores
        os.environ.setdefault(name, "1")
    app()


@app.command(epilog="Example: admmflex run experiments/rural1/check.yaml --out results/rural1")
def run(
    scenario: ScenarioFile,
    out: Annotated[Path | None, typer.Option(help="Result folder [default: results/<scenario>].")] = None,
    ranks: Annotated[int, typer.Option(min=1, help="Processes, started through MPI when more than one.")] = 1,
    method: Annotated[Method | None, typer.Option(help=METHODS)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event on standard output.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run into --out left off.")
    ] = False,
    every_s: Annotated[
        float | None,
        typer.Option(
            "--checkpoint-every", min=0.0, help="Seconds between checkpoints [default: 5 or more, 2 % of the time]."
        ),
    ] = None,
    deadline_s: Annotated[
        float | None,
        typer.Option("--deadline", min=1.0, help="Seconds after which a rank that stands still is lost [default: 30]."),
    ] = None,
    survive: Annotated[bool, typer.Option("--survive", help="Let the other ranks go on when one is lost.")] = False,
) -> None:
    """Coordinate the prosumers of a day.

    The plan is checked by an AC power flow. Results and a page about them go to the result folder; until it is done, a
    run by prices keeps its state in checkpoint/ there. Exit codes: 0 ok, 2 bad input, 3 infeasible, 4 not converged,
    75 rank lost, 130 stopped.
    """
    from admmflex.errors import ExitCode, InputError, Interrupted, SolverError
    from admmflex.interrupts import Interrupts
    from admmflex.launch import Request, enrol, is_rank, launched, leave

    enrol()
    folder = out or Path("results") / scenario.stem
    options = Options(scenario, folder, method, quiet, as_json, resume, every_s, deadline_s, survive, ranks)
    try:
        if ranks > 1:
            code = _run_ranks(options)
        elif is_rank() or launched():
            code = leave(_run_here(options, Request() if launched() else None))
        else:
            with Interrupts() as interrupts:
                code = _run_here(options, interrupts)
    except InputError as error:
        code = leave(_refuse(error, scenario))
    except (Interrupted, KeyboardInterrupt):
        if not launched():  # the one who launched the ranks tells
            typer.echo(left_behind(options), err=True)
        code = leave(ExitCode.STOPPED)
    except SolverError as error:
        if launched():
            raise  # ends the other ranks, too
        typer.echo(f"{scenario}: not solved: {error}", err=True)
        code = ExitCode.NOT_CONVERGED
    raise typer.Exit(code)


@app.command(epilog="Example: admmflex validate experiments/rural1/check.yaml")
def validate(scenario: ScenarioFile) -> None:
    """List every fault of a scenario and its data.

    Nothing is solved. Exit codes: 0 ok, 2 bad input.
    """
    from admmflex.errors import InputError

    try:
        sizes, notes = _checked(scenario, None)
    except InputError as error:
        raise typer.Exit(_refuse(error, scenario)) from None
    typer.echo(f"{scenario}: ok, {sizes}")
    for note in notes:
        typer.echo(f"note: {note}")


app.command(epilog="Example: admmflex example village")(example_cli.example)
app.command(epilog="Example: admmflex report results/day")(results_cli.report)
app.command(epilog="Example: admmflex compare results/admm results/central results/none")(results_cli.compare)
app.command(epilog="Example: admmflex export results/day --to pandapower --at '2016-05-26 13:00'")(results_cli.export)


def _refuse(error: InputError, source: Path) -> int:
    """Print the faults, once however many ranks there are."""
    from admmflex.console import fault_list
    from admmflex.errors import ExitCode
    from admmflex.launch import own_rank

    if own_rank() == 0:
        typer.echo(fault_list(error, str(source)), err=True)
    return ExitCode.BAD_INPUT


def _load(path: Path, method: Method | None) -> Scenario:
    from admmflex.scenario import load

    scenario = load(path)
    if method is None:
        return scenario
    from admmflex.data.export_spec import ExportSpec

    if isinstance(scenario.spec, ExportSpec) != (method == "export-limits"):
        from admmflex.errors import Fault, InputError

        allowed = "export-limits alone for scenarios of export limits, any other method for the others"
        raise InputError(Fault("--method", method, allowed, "leave it out, or write another scenario"))
    coordination = scenario.spec.coordination.model_copy(update={"method": method})
    return replace(scenario, spec=scenario.spec.model_copy(update={"coordination": coordination}))


def _checked(path: Path, method: Method | None) -> tuple[str, tuple[str, ...]]:
    """How large a scenario is, and notes on its data; faults are raised."""
    from admmflex.data.export_spec import ExportSpec
    from admmflex.scenario import build

    scenario = _load(path, method)
    if isinstance(scenario.spec, ExportSpec):
        from admmflex.export_limits.study import build as build_export

        found = build_export(scenario.spec, scenario.folder)
        count, n, steps = found.scenarios.shape
        return f"{n} customers, {found.customers.network.n} buses, {count} scenarios, {steps} steps", found.notes
    study = build(scenario)
    if study.settings.method == "charts":
        from admmflex.errors import require
        from admmflex.studies.charts_day import faults  # with mpo, which no other scheme needs

        require(faults(study))
    sizes = f"{len(study.prosumers)} prosumers, {len(study.network.buses)} buses, {study.horizon.steps} steps"
    return sizes, study.notes


def _run_ranks(options: Options) -> int:
    """Check the input here, which also fills the cache of networks, start the ranks, and tell what they found.

    The table is not theirs to print: mpirun does not keep their two streams in order.
    """
    from admmflex.errors import ExitCode
    from admmflex.launch import launch
    from admmflex.results import read

    _checked(options.scenario, options.method)
    causes = ["a rank was lost"]
    code = launch(
        options.ranks,
        options.arguments(),
        {TERMINAL: str(int(sys.stderr.isatty()))},
        deadline_s=options.deadline_s,
        survive=options.survive,
        lost=lambda cause: causes.insert(0, cause),
    )
    if code == ExitCode.RANK_LOST:
        kept = going_on(options) or "nothing was decided"
        typer.echo(f"{options.scenario}: {causes[0]}; {kept}", err=True)
    elif code == ExitCode.STOPPED:
        typer.echo(left_behind(options), err=True)
    elif code != ExitCode.BAD_INPUT:
        _tell(read(options.folder), options)
    return code


def _run_here(options: Options, stop: Stop | None) -> int:
    """Run in this process, which may be one rank of many; rank 0 speaks."""
    from admmflex.errors import ExitCode
    from admmflex.launch import launched, own_rank

    speaks = own_rank() == 0
    scenario = _load(options.scenario, options.method)  # before the slow import of what solves it
    from admmflex.coordination.keeper import Keeping
    from admmflex.run import run as coordinate

    observer = _observer(options, speaks or options.survive)  # any rank that is left may have to speak
    keeping = Keeping(options.resume, options.every_s, stop, options.survive)
    try:
        with _compiling_told(observer) if speaks else nullcontext():
            result = coordinate(scenario, out=options.folder, observer=observer, keeping=keeping)
    finally:
        observer.close()
    if speaks and not launched():
        _tell(result, options)
    codes = {"optimal": ExitCode.OK, "infeasible": ExitCode.INFEASIBLE, "not_converged": ExitCode.NOT_CONVERGED}
    return codes[result.status]


@contextmanager
def _compiling_told(observer: Display) -> Iterator[None]:
    """Say so, once, when numba has to compile a kernel that no earlier run has left in its cache."""
    from numba.core import event

    class Compiling(event.Listener):  # type: ignore[misc]
        told = False

        def on_start(self, _: object) -> None:
            if not self.told:
                self.told = True
                observer.message("compiling for this machine, once: it may take a minute or two")

        def on_end(self, _: object) -> None: ...

    with event.install_listener("numba:compile", Compiling()):
        yield


def _observer(options: Options, speaks: bool) -> Display:
    from admmflex.progress import JsonLines, Lines, Live, Silent

    if not speaks or (options.quiet and not options.as_json):
        return Silent()
    if options.as_json:
        return JsonLines()
    console = _console(sys.stderr)
    return Live(console) if console.is_terminal else Lines()


def _tell(result: Result, options: Options) -> None:
    """Write the report, print the table and where everything is."""
    from admmflex.console import facts, limits_table, summary_table, verdict
    from admmflex.report import page

    report = page.write(result, options.folder)
    if result.status != "optimal":
        reason = result.summary.get("message") or "see history.jsonl"
        typer.echo(verdict(result.status, reason, str(options.scenario)), err=True)
    if options.quiet or options.as_json:
        return
    console = _console(sys.stdout)
    console.print()
    console.print(limits_table(result.summary) if "export_limits" in result.summary else summary_table(result.summary))
    for fact in facts(result.summary):
        console.print(fact, markup=False)
    console.print(f"\nresult   {options.folder / 'result.nc'}, summary.json, history.jsonl", markup=False)
    console.print(f"report   {report}", markup=False)


def _console(stream: TextIO) -> Console:
    """A console of at most 80 columns; a rank knows of a terminal only what it was told."""
    from rich.console import Console

    from admmflex.launch import is_rank

    told = os.environ.get(TERMINAL, "0" if is_rank() else None)
    width = min(80, shutil.get_terminal_size((80, 24)).columns)
    return Console(file=stream, force_terminal=None if told is None else told == "1", width=width, highlight=False)
