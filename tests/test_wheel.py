"""What the wheel holds, and that it works alone, outside of the repository."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[1]
PACKAGES = ("admmflex", "grid", "mpo")


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    code = f"import hatchling.build; print(hatchling.build.build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return folder / done.stdout.strip().splitlines()[-1]


@pytest.fixture(name="installed", scope="module")
def _installed(wheel, tmp_path_factory):
    """The wheel alone in a folder, its kernels compiled as far as those of the checkout are."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--target", str(target), str(wheel)], check=True)
    for package in PACKAGES:
        for cache in (ROOT / package).rglob("__pycache__/*.nb[ci]"):
            copied = target / cache.relative_to(ROOT)
            copied.parent.mkdir(exist_ok=True)
            shutil.copy2(cache, copied)
            source = cache.relative_to(ROOT).parents[1] / (cache.name.split(".")[0] + ".py")
            if (ROOT / source).is_file():  # numba asks whether the source is as old as when it was compiled
                shutil.copystat(ROOT / source, target / source)
    return target


def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else(wheel):
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    told = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PACKAGES],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if told.returncode == 0:
        assert found == {name for name in told.stdout.split("\0") if name and (ROOT / name).is_file()}
    assert {f"{package}/py.typed" for package in PACKAGES} <= found
    assert {Path(name).suffix for name in found} >= {".py", ".html", ".css", ".js", ".yaml", ".csv", ".json", ".dss"}
    assert not [name for name in found if "__pycache__" in name or "tests" in name or name.endswith((".nbi", ".nbc"))]


def test_the_wheel_runs_its_example(installed, tmp_path):
    def admmflex(*words):
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        command = [sys.executable, "-m", "admmflex", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    where = subprocess.run(
        [sys.executable, "-c", "import admmflex; print(admmflex.__file__)"],
        capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(installed)
    copied = admmflex("example", "village")
    assert copied.returncode == 0, copied.stderr
    command = copied.stdout.strip().splitlines()[-1].split()
    assert command == ["admmflex", "run", str(Path("village", "day.yaml"))]
    checked = admmflex("validate", command[-1])
    assert (checked.returncode, checked.stdout) == (0, f"{command[-1]}: ok, 57 prosumers, 116 buses, 96 steps\n")
    done = admmflex(*command[1:])
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "results" / "day" / "summary.json").read_text())["status"] == "optimal"
    assert "<html" in (tmp_path / "results" / "day" / "report.html").read_text(encoding="utf-8")
