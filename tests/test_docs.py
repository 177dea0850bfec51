"""What the pages say exists: commands, options, targets, files, links, exit codes and keys."""

import pkgutil
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from admmflex import cli
from admmflex.data.export_spec import (
    CustomersSpec,
    DrawnSpec,
    ExportCoordinationSpec,
    ExportScenariosSpec,
    ExportSpec,
    FeederLimitsSpec,
    asks_for_export_limits,
)
from admmflex.data.spec import CoordinationSpec, ScenarioSpec
from admmflex.errors import ExitCode
from admmflex.scenario import load

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path for place in ("*.md", "docs/**/*.md", "experiments/**/*.md") for path in ROOT.glob(place) if path.is_file()
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCENARIOS = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")


def commands(text):
    """Lines of shell blocks and code in tables, comments off, as words."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    cells = re.findall(
        r"`((?:python -m|admmflex (?:run|validate|example|report|compare|export)|make|mpirun) [^`]+)`",
        text,
    )
    lines = [*blocks.splitlines(), *cells]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def all_commands():
    return [(page.relative_to(ROOT), words) for page in PAGES for words in commands(page.read_text(encoding="utf-8"))]


def test_the_pages_have_commands():
    assert len(all_commands()) > 20
    assert {page.name for page in PAGES} >= {"README.md", "results.md", "scenarios.md"}


def label(value):
    return " ".join(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize(("page", "words"), all_commands(), ids=label)
def test_a_command_exists(page, words):
    words = words[words.index("python") :] if words[0] == "mpirun" else words
    if words[:2] == ["python", "-m"] and words[2] == "admmflex":
        words = words[2:]
    if words[0] == "admmflex":
        check_own_command(words[1:], page)
    elif words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    elif words[:2] == ["python", "-m"] and words[2].startswith("experiments"):
        file = ROOT / Path(*words[2].split("."))
        assert file.with_suffix(".py").is_file() or (file / "__main__.py").is_file()
    elif words[0] == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file()


def check_own_command(words, page):
    """Subcommand, options and scenario of ``admmflex ...``; capital letters stand for what a user fills in.

    A scenario stands in the repository, in a packaged example, or in a block of the page that has its name.
    """
    own = typer.main.get_command(cli.app).commands
    assert words[0] in own
    known = {option for parameter in own[words[0]].params for option in parameter.opts}
    for word in words[1:]:
        assert not word.startswith("-") or word in known, word
        if word.endswith(".yaml"):
            titled = f'title="{word}"' in (ROOT / page).read_text(encoding="utf-8")
            assert titled or any((place / word).is_file() for place in (ROOT, ROOT / "admmflex" / "examples")), word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_files_that_are_named_exist():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = re.findall(r"`((?:experiments|tests|docs|admmflex)/[\w/.-]+\.\w+)`", pages)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_exit_codes_are_those_of_the_program():
    table = README[README.index("| Exit code") :].split("\n\n")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)} == set(ExitCode)


def test_extras_are_those_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    table = README[README.index("| Extra") :].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`[,|]? ", table)) - {"mpirun"} == extras.keys() - {"build"}


def test_every_key_of_a_scenario_has_a_place():
    for key in (*ScenarioSpec.model_fields, *CoordinationSpec.model_fields):
        assert f"`{key}" in SCENARIOS, key


def test_every_key_of_a_scenario_of_export_limits_has_a_place():
    part = SCENARIOS[SCENARIOS.index("## export limits") :]
    for spec in (ExportSpec, FeederLimitsSpec, CustomersSpec, DrawnSpec, ExportScenariosSpec, ExportCoordinationSpec):
        for key in spec.model_fields:
            assert re.search(rf"\b{key}\b", part), key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_scenario_keys_are_accepted(page):
    """The sections in a page, put into the five homes one by one, are in form; blocks with a title are whole files."""
    base = load(ROOT / "experiments" / "hand" / "day.yaml").spec.model_dump(by_alias=True, exclude_unset=True)
    text = page.read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]
    assert page.name != "scenarios.md" or len(blocks) >= 4
    for block in blocks:
        if asks_for_export_limits(block):
            ExportSpec.model_validate(block)
            continue
        whole = block.keys() & ScenarioSpec.model_fields.keys()
        ScenarioSpec.model_validate(base | (block if whole else {"prosumers": block}))


def test_functions_of_the_formulation_exist():
    """Every name in the last column, of a function, a class or a module of kernels."""
    text = (ROOT / "docs" / "formulation.md").read_text(encoding="utf-8")
    rows = [re.split(r"(?<!\\)\|", line)[-2] for line in text.splitlines() if line.startswith("|")]
    names = [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) > 60
    for name in names:
        package = "" if name.split(".")[0] in ("grid", "mpo") else "admmflex."
        assert pkgutil.resolve_name(package + name) is not None, name


def test_modules_that_pages_name_exist():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in set(re.findall(r"`(admmflex(?:\.[A-Za-z_]+)+)", pages)):
        assert pkgutil.resolve_name(name) is not None
