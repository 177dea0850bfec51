"""The commands and the code on the page about outputs run as they stand there, and leave what it says."""

import os
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from admmflex.cli import app
from admmflex.export import PLACES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_about_outputs_is_true(elsewhere):
    for extra in ("envoy_schema", "pyarrow"):
        if not os.environ.get("CI"):  # there everything is installed, and nothing is skipped
            pytest.importorskip(extra)
    lines = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
    assert len(lines) >= 9
    for line in lines:
        words = shlex.split(line, comments=True)
        assert words[0] == "admmflex"
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, (line, done.stderr, done.exception)
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {})
    left = {path.name for path in (elsewhere / "results" / "prices").iterdir()}
    assert left == {"report.html", "result.nc", "summary.json", "history.jsonl"} | set(PLACES.values())
    assert (elsewhere / "results" / "comparison.html").stat().st_size < 8e6
    assert (elsewhere / "results" / "prices" / "report.html").stat().st_size < 8e6
