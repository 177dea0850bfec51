"""The site of the pages is whole: built strictly, with every page, and nothing on it comes from elsewhere."""

import re
import runpy
from pathlib import Path

import pytest

import grid
import mpo
from admmflex import assets, export_limits

ROOT = Path(__file__).parents[1]
HOOK = runpy.run_path(str(ROOT / "docs" / "site" / "hook.py"))
API = {name: (ROOT / "docs" / "api" / f"{name}.md").read_text(encoding="utf-8") for name in ("admmflex", "grid", "mpo")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning an error."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    target = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        patch.chdir(ROOT)
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(target)))
    return target


def test_the_site_is_built_strictly(site: Path) -> None:
    pages = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    for path in (*ROOT.glob("docs/**/*.md"), *ROOT.glob("experiments/**/*.md"), ROOT / "README.md"):
        name = path.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/")
        assert re.sub(r"README$", "index", name) in pages, name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?(?:https?:)?//|<link[^>]*\shref=[\"']?(?:https?:)?//"
    )
    for page in site.rglob("*.html"):
        assert not loaded.search(page.read_text(encoding="utf-8")), page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_links_to_pages_and_pictures_lead_to_files(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for target in re.findall(r"(?:href|src)=\"([^\"#?]+)[\"#?]", page.read_text(encoding="utf-8")):
            assert "://" in target or target.startswith(("mailto:", "data:")) or (page.parent / target).exists(), (
                page.name,
                target,
            )


@pytest.mark.parametrize(
    ("uri", "text", "wanted"),
    [
        ("README.md", "[a](docs/results.md#history)", "[a](results.md#history)"),
        ("README.md", "[a](LICENSE)", "a"),
        ("results.md", "[a](../README.md#use)", "[a](README.md#use)"),
        ("decisions/prices.md", "[a](../../experiments/hard/README.md)", "[a](../experiments/hard/README.md)"),
        ("experiments/hard/README.md", "[a](../../docs/mpo.md), [b](cases.py)", "[a](../../mpo.md), b"),
        ("results.md", "[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("results.md", "```python\nx = [a](y)\n```\n", "```python\nx = [a](y)\n```\n"),
    ],
)
def test_links_are_turned_towards_the_site(uri: str, text: str, wanted: str) -> None:
    known = {"README.md", "results.md", "mpo.md", "experiments/hard/README.md", "decisions/prices.md"}
    assert HOOK["relinked"](text, uri, known) == wanted


@pytest.mark.parametrize(
    ("module", "page"), [(grid, "grid"), (mpo, "mpo"), (assets, "admmflex"), (export_limits, "admmflex")]
)
def test_everything_public_is_on_a_page(module: object, page: str) -> None:
    assert [name for name in module.__all__ if not re.search(rf"\.{name}\b", API[page])] == []


def test_equations_of_docstrings_become_blocks(site: Path) -> None:
    text = (site / "api" / "admmflex.html").read_text(encoding="utf-8")
    assert re.search(r"<code[^>]*>(?:<[^>]+>)*p = dis - ch,", text)
