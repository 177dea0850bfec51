"""Results that attack or are damaged: report, compare and export say why, with exit code 2, or write what is there."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from admmflex import results
from admmflex.cli import app
from admmflex.report import page

pytestmark = pytest.mark.usefixtures("one_gigabyte")
COMMANDS = (["report"], ["compare"], ["export", "--to", "csv"], ["export", "--to", "openadr"])


@pytest.fixture
def folder(day, tmp_path):
    return results.write(day.result(), tmp_path / "r").directory


def refused(folder, found, commands=COMMANDS[:1]):
    """A command says so in a list of faults, and none leaves a traceback."""
    for command in commands:
        folders = [str(folder)] * (2 if command == ["compare"] else 1)
        done = CliRunner().invoke(app, [*command[:1], *folders, *command[1:]])
        assert done.exit_code == 2, (command, done.output, done.exception)
        assert re.search(found, " ".join(done.stderr.split())), done.stderr
        assert "Traceback" not in done.stderr


def declared(file):
    file.create_dataset("huge", (1_000_000_000,), "f8", chunks=(1_000_000,), compression="gzip")


def outside(file):
    file.create_dataset("secret", (10,), "u1", external=[("/etc/passwd", 0, 10)])


def linked(file):
    file["v_pu_baseline2"] = h5py.ExternalLink("/etc/passwd", "/")
    file["soft"] = h5py.SoftLink("/v_pu")


def virtual(file):
    layout = h5py.VirtualLayout((1,), "f8")
    layout[0] = h5py.VirtualSource("other.nc", "x", (1,))[0]
    file.create_virtual_dataset("virtual", layout)


def group(file):
    file.create_group("inner")


def named(file):
    file["..; rm -rf x"] = np.zeros(3)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (declared, r"declares 8000 MB|declares 8\.?0*e\+03 MB"),
        (outside, "data outside of the file"),
        (linked, "a link .*'soft': a link"),
        (virtual, "data outside of the file"),
        (group, "'inner': no array"),
        (named, "a name that is none"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_that_reaches_out_is_not_read(folder, change, found):
    with h5py.File(folder / "result.nc", "a") as file:
        change(file)
    refused(folder, found, COMMANDS)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda data: data.drop_vars("p_kw"), "no variable 'p_kw'"),
        (lambda data: data.drop_vars("time"), "no time"),
        (lambda data: data.drop_vars("asset_kind"), "no asset_kind"),
        (lambda data: data.assign(dt_h=("time", np.array(list("abcd"), object))), "dt_h holds .* not numbers"),
        (lambda data: data.assign(v_pu=("time", np.zeros(4))), "v_pu holds float64 by .'time',., not numbers"),
        (lambda data: data.assign_attrs(status="<script>"), "status = '<script>'"),
        (lambda data: data.assign_attrs(format="admmflex result 99"), "has format 'admmflex result 99'"),
        (lambda data: data.assign_attrs(objective_eur="much"), "no number 'objective_eur'"),
        (lambda data: data.assign_attrs(timezone="../../etc/passwd"), "cannot be shown|timezone"),
        (lambda data: data.assign_attrs(versions="[" * 10), "cannot be shown|versions"),
        (lambda data: data.assign(branch_to_bus=("branch", np.array([5, 9]))), "branch_to_bus beyond the 3 of bus"),
        (lambda data: data.assign_coords(asset_prosumer=("asset", np.array([-1, 0, 0, 1]))), "asset_prosumer beyond"),
        (lambda data: data.assign(prosumer_bus=("prosumer", np.array([5, 9]))), "prosumer_bus that is no bus"),
        (lambda data: data.isel(time=slice(0, 0)), "no step"),
    ],
)
def test_what_a_run_does_not_write_is_not_shown(day, tmp_path, change, found):
    changed = change(day.dataset())
    made = day.result()
    changed.to_netcdf(results.write(made, tmp_path / "r").directory / "result.nc", engine="h5netcdf")
    refused(tmp_path / "r", found)


@pytest.mark.parametrize(
    "text",
    ["[]", "1", "null", "[" * 100_000, "\xff", "", '{"a": ' + "9" * 5000 + "}", "\x00"],
    ids=lambda text: text[:10].encode("unicode_escape").decode(),
)
def test_a_summary_is_a_json_object(folder, text):
    (folder / "summary.json").write_bytes(text.encode("latin-1"))
    refused(folder, "not readable|no JSON object")


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", {"value": "x"}])
def test_numbers_of_a_summary_may_be_anything(folder, value):
    """They are shown or refused; nothing is written halfway, nothing runs."""
    summary = json.loads((folder / "summary.json").read_text())
    for key in ("worst_voltage", "gap", "versions"):
        (folder / "summary.json").write_text(json.dumps(summary | {key: value}))
        done = CliRunner().invoke(app, ["report", str(folder)])
        assert done.exit_code in (0, 2), (done.output, done.exception)
        assert done.exit_code == 0 or "cannot be shown" in done.stderr
        for written in folder.glob("*.html"):
            assert "<script>alert" not in written.read_text()


def test_a_damaged_file_is_refused(folder):
    """Bytes that are wrong, here and there: never a traceback."""
    whole = (folder / "result.nc").read_bytes()
    rng = np.random.default_rng(0)
    for part in (0.1, 0.9):
        (folder / "result.nc").write_bytes(whole[: int(part * len(whole))])
        refused(folder, "not readable", COMMANDS[:1])
    for _ in range(4):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 30):
            damaged[place] = rng.integers(256)
        (folder / "result.nc").write_bytes(damaged)
        done = CliRunner().invoke(app, ["report", str(folder)])
        assert done.exit_code in (0, 2), done.exception


EVIL = ["<script>alert(1)</script>", "</script><script>alert(1)</script><!--<script>"]


def test_names_do_not_run(day, tmp_path):
    """Names of homes, buses, branches and the day itself come back as text, in the page and in its data."""
    data = day.dataset().assign_coords(prosumer=EVIL, branch=EVIL, asset=[*EVIL, *EVIL[::-1]])
    data = data.assign(bus_name=("bus", np.array([*EVIL, "<img src=x onerror=alert(1)>"], object)))
    text = page.page(results.result(data.assign_attrs(name=EVIL[1], scenario=EVIL[1], message=EVIL[0])))
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert len(blocks) > 3
    assert EVIL[1] in json.loads(blocks[['"names"' in one for one in blocks].index(True)])["names"]
    for block in blocks:
        assert "<" not in block
        json.loads(block)


def test_names_are_no_paths_and_no_markup(day, tmp_path):
    """Files are numbered or have names of variables; brackets are not markup of the terminal."""
    pytest.importorskip("envoy_schema")
    names = ["../../evil", "/etc/[/red]passwd"]
    data = day.dataset().assign_coords(prosumer=names, branch=["[/nothing]", "../b"])
    out = results.write(results.result(data), tmp_path / "a" / "b" / "[/red]").directory
    for form in ("csv", "csip-aus", "openadr"):
        done = CliRunner().invoke(app, ["export", str(out), "--to", form])
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["compare", str(out), str(out), "--out", str(out / "c.html")])
    assert done.exit_code == 0, done.output
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["b"]
    assert {one.name for one in (out / "csip-aus").iterdir()} == {
        f"{row:04d}_{kind}.xml" for row in (0, 1) for kind in ("controls", "default")
    } | {"homes.csv"}
