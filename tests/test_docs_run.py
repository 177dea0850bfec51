"""What the pages tell to do is done: every command and every block of Python, in the order of the page.

Each page has a folder of its own, with ``experiments/`` and, where it needs them, ``village/`` and ``results/day``,
which the quick start leaves. A block with a title is a file of that name. ``# exit code 2`` behind a command is what it
must leave. What takes minutes stands in ``LONG``, each with the test of its small version.
"""

import re
import runpy
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from admmflex import cli
from admmflex.export import PLACES

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for place in ("*.md", "docs/**/*.md", "experiments/**/*.md")
    for path in ROOT.glob(place)
)
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:python -|admmflex (?:run|validate|report|compare|export)|make|mpirun) ?[^`]+)`")
FILLED_IN = re.compile(r"\b[A-Z]{3,}\b")

COORDINATION, EXPERIMENTS, STUDIES = "tests/admmflex/coordination", "tests/experiments", "tests/admmflex/studies"
AGREES = f"{COORDINATION}/test_admm.py::test_the_central_optimum_is_found_from_any_penalty"
HOMES = f"{EXPERIMENTS}/test_homes.py"
BENCHMARKS = f"{EXPERIMENTS}/test_benchmarks.py"
EXPORT = "tests/admmflex/export_limits"
ANSWERS, RELIABILITY = f"{EXPERIMENTS}/test_unreliable_answers.py", f"{EXPERIMENTS}/test_reliability.py"
LONG = {
    "make demo": AGREES,
    "make PYTHON=python3.12 demo": AGREES,
    "make coverage": "tests/test_docs.py::test_a_command_exists",
    "make docs": "tests/test_site.py::test_the_site_is_built_strictly",
    "make bench": f"{EXPERIMENTS}/test_benchmark_page.py::test_benchmarks_are_found_and_say_what_they_measure",
    "make bench-guard": f"{EXPERIMENTS}/test_benchmark_page.py::test_exit_codes_of_the_guard",
    "make test": "tests/test_docs.py::test_a_command_exists",
    "make check": "tests/test_docs.py::test_a_command_exists",
    "make format": "tests/test_docs.py::test_a_command_exists",
    "make lock": "tests/test_package.py::test_the_lock_holds_every_dependency_with_hashes",
    "make clean": "tests/test_docs.py::test_a_command_exists",
    "python3 -m venv": "tests/test_package.py::test_the_lock_holds_every_dependency_with_hashes",
    "pip install": "tests/test_package.py::test_the_lock_holds_every_dependency_with_hashes",
    "mpirun -n 2": "tests/mpi/test_mpi.py::test_the_number_of_ranks_does_not_matter",
    "admmflex run experiments/rural1": AGREES,
    "admmflex run experiments/rural3": f"{COORDINATION}/test_admm.py::test_a_town_with_more_than_a_hundred_prosumers",
    "admmflex run experiments/region": f"{COORDINATION}/test_region.py::test_the_plan_is_as_good_as",
    "admmflex run experiments/homes": f"{HOMES}::test_homes_by_themselves_break_limits_and_agreed_ones_do_not",
    "admmflex run experiments/islanded/five.yaml": (
        f"{COORDINATION}/test_islands.py::test_an_island_costs_what_the_central_optimum_costs"
    ),
    "admmflex run experiments/islanded/outage.yaml": (
        f"{STUDIES}/test_outage.py::test_an_announced_outage_costs_what_the_central_optimum_costs"
    ),
    "admmflex run experiments/compromised": (
        f"{COORDINATION}/test_compromised.py::test_prices_find_the_robust_optimum"
    ),
    "admmflex run experiments/flex_charts/five.yaml": (
        f"{STUDIES}/test_charts_day.py::test_the_summary_tells_of_control_steps"
    ),
    "admmflex run admmflex/examples/village": "tests/admmflex/test_examples.py::test_the_day_is_what_the_readme_tells",
    "admmflex run village/charts.yaml": f"{STUDIES}/test_charts_day.py::test_the_result_holds_what_happened",
    "python -m experiments.benchmarks": f"{BENCHMARKS}::test_the_coordination_agrees_with_the_whole_problem",
    "python -m experiments.compromised": (
        f"{COORDINATION}/test_compromised.py::test_a_plan_with_margins_holds_under_attack_and_one_without_does_not"
    ),
    "python -m experiments.convergence": (
        f"{EXPERIMENTS}/test_convergence.py::test_a_trial_holds_the_plan_against_the_optimum_of_its_own_day"
    ),
    "python -m experiments.export_limits.run": f"{EXPERIMENTS}/test_export_limits.py::test_rows_add_up",
    "python -m experiments.export_limits.accuracy": f"{EXPORT}/test_verify.py::test_exact_limits_hold",
    "python -m experiments.export_limits.rules": f"{EXPORT}/test_envelopes.py::test_rules_are_what_they_say",
    "python -m experiments.flex_charts.run": f"{STUDIES}/test_closed_loop.py::test_a_day_as_foreseen_costs_little_more",
    "python -m experiments.flex_charts.chart_figure": f"{EXPERIMENTS}/test_flex_charts.py::test_the_page_is_written",
    "python -m experiments.hard.run": f"{EXPERIMENTS}/test_hard.py::test_prices_that_jump_are_solved_and_proven",
    "python -m experiments.homes.run": f"{HOMES}::test_a_season_names_the_goals_that_it_misses",
    "python -m experiments.homes.effects": f"{HOMES}::test_what_is_found_can_be_shown_and_written",
    "python -m experiments.homes.figure": f"{HOMES}::test_a_picture_stacks_up_to_the_power_at_the_meters",
    "python -m experiments.homes.week": f"{HOMES}::test_an_interrupted_week_goes_on_after_the_last_finished_day",
    "python -m experiments.islanded.run": (
        f"{COORDINATION}/test_islands.py::test_an_island_costs_what_the_central_optimum_costs"
    ),
    "python -m experiments.islanded.resilience": (
        f"{EXPERIMENTS}/test_resilience.py::test_a_sweep_goes_on_where_it_was_interrupted"
    ),
    "python -m experiments.islanded.schedules": f"{STUDIES}/test_survival.py::test_each_objective_is_best_at_its_own",
    "python -m experiments.kernels.run": f"{EXPERIMENTS}/test_kernels.py::test_no_kernel_can_be_above_its_roof",
    "python -m experiments.million.run": f"{EXPERIMENTS}/test_million.py::test_a_copy_is_coordinated_within_its_limits",
    "python -m experiments.pictures": f"{EXPERIMENTS}/test_pictures.py::test_a_figure_becomes_a_picture",
    "python -m experiments.reliability.answers": f"{ANSWERS}::test_lost_answers_cost_nothing_and_nonsense_is_held",
    "python -m experiments.reliability.lies": f"{ANSWERS}::test_a_margin_for_a_lie_keeps_the_limits",
    "python -m experiments.reliability.days": f"{RELIABILITY}::test_random_days_hold_and_are_kept",
    "python -m experiments.reliability.memory": (
        f"{RELIABILITY}::test_nothing_but_the_record_of_a_plan_is_kept_from_period_to_period"
    ),
    "python -m experiments.reliability.privacy": f"{RELIABILITY}::test_answers_reveal_batteries_and_inverters",
    "python -m experiments.reliability.mutants": (
        f"{EXPERIMENTS}/test_mutants.py::test_no_mistake_in_the_stopping_test_goes_unnoticed"
    ),
    "python -m experiments.rural1.run": AGREES,
    "python -m experiments.rural3.run": AGREES,
    "python -m experiments.scaling.run": f"{EXPERIMENTS}/test_scaling.py::test_two_ranks_agree_on_the_same_bits",
    "python -m experiments.services.run": (
        f"{STUDIES}/test_reserve.py::test_the_reserve_is_that_of_the_same_problem_in_cvxpy"
    ),
    "python -m experiments.village.make": "tests/admmflex/test_examples.py::test_export_limits_hold_in_opendss",
    "python -m experiments.week.run": f"{EXPERIMENTS}/test_week.py::test_ways_are_compared_and_kept",
}
WITHOUT_OPTIONS = {
    "rural1.run",
    "rural3.run",
    "hand.run",
    "islanded.run",
    "services.run",
    "export_limits.rules",
    "village.make",
}
"""Experiments that take none."""


@dataclass(frozen=True)
class Block:
    """A block of a page: language, title, text; of a language without a name where it is one command in a line."""

    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    inline = [Block("sh", "", one) for one in INLINE.findall(FENCE.sub("", text))]
    return [Block(*found) for found in FENCE.findall(text)] + inline


def lines(block: Block) -> list[str]:
    return [line for line in block.text.splitlines() if line.split("#")[0].strip()] if block.language == "sh" else []


def listed(line: str) -> str | None:
    """The test that stands for a command, where one does: for a scenario without options, or whatever follows."""
    said = " ".join(shlex.split(line, comments=True))
    for start, test in LONG.items():
        if said == start or (not start.endswith(".yaml") and re.match(rf"{re.escape(start)}(?![\w-])", said)):
            return test
    return None


def commands() -> list[str]:
    return sorted(
        {" ".join(shlex.split(line, comments=True)) for page in PAGES for one in blocks(page) for line in lines(one)}
    )


class Commands:
    """Runs commands where it stands; what one page has found of the village is not computed for another."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, ...], Path] = {}

    def run(self, line: str) -> None:
        """Run one command, and look at its exit code."""
        words, wanted = shlex.split(line, comments=True), re.search(r"# .*exit code (\d+)", line)
        if words[0] == "admmflex":
            self._admmflex(words[1:], int(wanted[1]) if wanted else 0)
            return
        assert words[0] == "python", f"{line}: neither run nor listed"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", words[2:] if words[1].startswith("-") else words[1:])
            if words[1] == "-m":
                runpy.run_module(words[2], run_name="__main__")
            elif words[1] == "-c":
                exec(words[2], {})
            else:
                runpy.run_path(words[1], run_name="__main__")

    def _admmflex(self, words: list[str], wanted: int) -> None:
        kept, out = tuple(words), Path("results")
        if words[0] == "run":
            out /= Path(words[1]).stem
        if "--out" in words:
            at = words.index("--out")
            kept, out = (*words[:at], *words[at + 2 :]), Path(words[at + 1])
        if kept in self.found:
            if self.found[kept] != out.resolve():
                shutil.copytree(self.found[kept], out, dirs_exist_ok=True)
            return
        done = CliRunner().invoke(cli.app, words)
        assert done.exit_code == wanted, f"{words}\n{done.output}"
        assert done.exception is None or isinstance(done.exception, SystemExit), words
        if kept[0] == "run" and kept[1].startswith("village/") and not wanted:
            self.found[kept] = out.resolve()


@pytest.fixture(scope="module")
def here() -> Commands:
    return Commands()


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory, here: Commands) -> Path:
    """What the quick start leaves."""
    folder = tmp_path_factory.mktemp("start")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        here.run("admmflex example village")
        here.run("admmflex run village/day.yaml")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_what_it_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, here: Commands
) -> None:
    """All of it in order; a page without anything to run does nothing."""
    todo = blocks(page)
    asked = [line for block in todo for line in lines(block) if not skipped(line)]
    if not asked and all(block.language != "python" for block in todo):
        return
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    text = (ROOT / page).read_text(encoding="utf-8")
    copies = any(line.startswith("admmflex example") for line in asked)
    if not copies and ("village/" in text or "results/day" in text):
        shutil.copytree(request.getfixturevalue("village"), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {"__name__": page}
    for block in todo:
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, page, "exec"), names)
        for line in lines(block):
            if not skipped(line):
                here.run(line)
    if page == "docs/outputs.md":
        left = {path.name for path in Path("results/prices").iterdir()}
        assert left == {"report.html", "result.nc", "summary.json", "history.jsonl"} | set(PLACES.values())
        assert max(path.stat().st_size for path in Path("results").rglob("*.html")) < 8e6


def skipped(line: str) -> bool:
    return listed(line) is not None or FILLED_IN.search(line.split("#")[0]) is not None


@pytest.mark.parametrize("start", LONG)
def test_what_is_not_run_here_is_tested_elsewhere(start: str) -> None:
    file, name = LONG[start].split("::")
    assert re.search(rf"^def {name}", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), LONG[start]


def test_the_list_has_nothing_that_no_page_says() -> None:
    said = [line for page in PAGES for one in blocks(page) for line in lines(one)]
    assert [start for start in LONG if not any(line.startswith(start) for line in said)] == []


def test_experiments_have_the_options_that_pages_give_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is asked for its help, with the words before the first option."""
    asked = [line.split()[2:] for line in commands() if line.startswith("python -m experiments.")]
    for module, *words in asked:
        options = {word for word in words if word.startswith("--")}
        if module.removeprefix("experiments.") in WITHOUT_OPTIONS:
            assert not words, module
        elif options:
            leading = words[: min(words.index(option) for option in options)]
            monkeypatch.setattr(sys, "argv", [module, *leading, "--help"])
            with pytest.raises(SystemExit) as left:
                runpy.run_module(module, run_name="__main__")
            assert left.value.code in (0, None), module
            assert options <= set(re.findall(r"--[\w-]+", capsys.readouterr().out)), module
