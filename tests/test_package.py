"""What is shipped: one version, a complete lock without addresses, and a light import."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import admmflex

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_one_version():
    assert admmflex.__version__ == PROJECT["project"]["version"]
    assert f"## {admmflex.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_lock_holds_every_dependency_with_hashes():
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = {re.split(r"[<>=;\[ ]", one)[0].lower() for one in sum(extras, PROJECT["project"]["dependencies"])}
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert wanted <= {entry.split("==")[0] for entry in entries}
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", entry.splitlines()[-1]) for entry in entries)


@pytest.mark.parametrize("path", ["requirements.lock", "pyproject.toml", "Makefile", ".ci/run"])
def test_no_addresses(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not re.search(r"\w+://|(?<!no-emit-)index-url|find-links|@ *git", text)


def test_run_stays_a_function_when_its_module_is_imported():
    code = "import admmflex, admmflex.run; print(type(admmflex.run).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "function\n"


def test_importing_the_package_is_quick():
    code = "import sys, admmflex; print(sorted({'numpy', 'numba', 'pandapower', 'cvxpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
