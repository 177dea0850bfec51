"""Grid files that attack: nothing in them is imported, called or opened, and memory stays bounded."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from pandapower.control import ConstControl
from pandapower.timeseries import DFData

import grid
from grid import files
from grid.dss import read_dss

pytestmark = pytest.mark.usefixtures("one_gigabyte")


def small() -> Any:
    """Slack, transformer-free: two buses of 0.4 kV and a cable."""
    net = pp.create_empty_network(name="small")
    a, b = pp.create_bus(net, 0.4), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, a)
    pp.create_line_from_parameters(net, a, b, 0.1, 0.3, 0.1, 10.0, 0.2)
    pp.create_load(net, b, 0.01)
    return net


@cache
def written() -> str:
    return str(pp.to_json(small()))


def content() -> dict[str, Any]:
    """The JSON of the small grid."""
    return dict(json.loads(written()))


def refused(path: Path, found: str) -> None:
    with pytest.raises(grid.InputError, match=found):
        grid.read_case(path)


def tagged(module: str, kind: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"_module": module, "_class": kind, "_object": value, **more}


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module on the path that leaves a mark when it is imported."""
    mark = tmp_path / "imported"
    (tmp_path / "trap_module.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Trap: pass\ndef trap(): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return mark


@pytest.mark.parametrize(
    "value",
    [
        tagged("trap_module", "Trap", "{}"),
        tagged("trap_module", "function", "trap"),
        tagged("os", "system", "true"),
        tagged("builtins", "exec", "1"),
        tagged("pandapower.timeseries.output_writer;trap_module", "Trap", "{}"),
        tagged("pandas.core.series", "Series", "/etc/hostname.json"),
        tagged("pandas", "read_pickle", "x.pkl"),
    ],
    ids=lambda value: f"{value['_module']}.{value['_class']}",
)
@pytest.mark.parametrize("place", ["key", "cell", "deep", "array"])
def test_nothing_is_imported_or_called(value: dict[str, Any], place: str, trap: Path, tmp_path: Path) -> None:
    data = content()
    tables = data["_object"]
    if place == "key":
        tables["more"] = value
    elif place == "deep":
        tables["std_types"]["line"]["x"] = {"y": [value]}
    elif place == "array":
        tables["more"] = tagged("numpy", "array", [value])
    else:
        loads = json.loads(tables["load"]["_object"])
        loads["data"][0][loads["columns"].index("name")] = value
        tables["load"]["_object"] = json.dumps(loads)
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(data))
    refused(path, "an object of class")
    assert not trap.exists()


def test_pandapower_by_itself_would_import_it(trap: Path, tmp_path: Path) -> None:
    """What the test above guards against is there."""
    data = content()
    data["_object"]["more"] = tagged("trap_module", "Trap", "{}")
    with pytest.raises(Exception, match="not allowed"):
        pp.from_json_string(json.dumps(data))
    assert trap.exists()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"_object": "/etc/hostname.json"}, "content that is not JSON"),
        ({"_object": {"a": 1}}, "content that is not JSON"),
        ({"dtype": {"name": "U900000000"}}, "dtype 'U900000000'"),
        ({"compression": "zip"}, "option 'compression'"),
        ({"orient": "table"}, "orient 'table'"),
        ({"_object": "[" * 100_000}, "nested too deeply"),
    ],
)
def test_tables_are_numbers_and_texts(change: dict[str, Any], found: str, tmp_path: Path) -> None:
    data = content()
    data["_object"]["load"] |= change
    (tmp_path / "grid.json").write_text(json.dumps(data))
    refused(tmp_path / "grid.json", found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"\xff\xfe{}", "not JSON"),
        (b"\x00" * 100, "not JSON"),
        (b'{"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": "{}"}', "not a pandapower grid"),
        (b"1" * 10_000, "not JSON"),
        (b"", "not JSON"),
    ],
    ids=["lists", "dicts", "utf-16", "nul", "old", "integer", "empty"],
)
def test_text_that_is_no_grid(text: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_bytes(text)
    refused(tmp_path / "grid.json", found)


@pytest.mark.parametrize(
    ("table", "column", "value", "found"),
    [
        ("load", "p_mw", "1e3; import os", "load 0: p_mw = '1e3; import os'"),
        ("load", "p_mw", [1.0], r"load 0: p_mw = '\[1.0\]'"),
        ("load", "p_mw", True, "load 0: p_mw = 'True'"),
        ("line", "in_service", "no", "line 0: in_service = 'no'; allowed: true or false"),
        ("line", "in_service", None, "line 0: in_service = 'nan'"),
        ("load", "name", "a\x00b", "control characters"),
        ("load", "name", "\x1b[2J", "control characters"),
        ("load", "bus", 10**30, "load 0: bus = |pandapower cannot read it"),
        ("line", "from_bus", -1, "line 0.*from_bus = -1"),
        ("line", "length_km", float("inf"), "length_km = inf"),
    ],
)
def test_cells_that_are_no_data(table: str, column: str, value: Any, found: str, tmp_path: Path) -> None:
    data = content()
    inner = json.loads(data["_object"][table]["_object"])
    inner["data"][0][inner["columns"].index(column)] = value
    data["_object"][table]["_object"] = json.dumps(inner)
    data["_object"][table]["dtype"].pop(column)
    (tmp_path / "grid.json").write_text(json.dumps(data))
    refused(tmp_path / "grid.json", found)


def test_an_index_makes_no_array(tmp_path: Path) -> None:
    """pandapower numbers buses by an array as long as the highest index."""
    net = small()
    net.bus.index = [0, 2_000_000_000]
    net.line.to_bus = net.load.bus = 2_000_000_000
    pp.to_json(net, str(tmp_path / "grid.json"))
    refused(tmp_path / "grid.json", "index 2000000000; allowed: 0 to 10000000")


def test_columns_that_are_missing_are_all_named(tmp_path: Path) -> None:
    net = small()
    net.line = net.line.drop(columns=["df", "to_bus"])
    net.load = net.load.drop(columns="p_mw")
    with pytest.raises(grid.InputError) as caught:
        grid.read(net)
    assert [str(one).partition(";")[0] for one in caught.value.faults] == [
        "table line: no column to_bus",
        "table line: no column df",
        "table load: no column p_mw",
    ]


def test_controllers_are_left_out_and_said(tmp_path: Path) -> None:
    net = small()
    source = DFData(pd.DataFrame({"0": [1.0, 2.0]}))
    ConstControl(net, "load", "p_mw", [0], profile_name=["0"], data_source=source)
    net["more"] = np.array([1.0, 2.0])
    pp.to_json(net, str(tmp_path / "grid.json"))
    case = grid.read_case(tmp_path / "grid.json")
    assert any("1 controllers are not read" in note for note in case.network.notes)
    same = grid.read(small())
    np.testing.assert_array_equal(case.network.y_ff, same.y_ff)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    refused(tmp_path / "pipe.json", "a device or a pipe")
    for suffix in (".json", ".dss"):
        (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
        with pytest.raises(grid.InputError, match="a device or a pipe"):
            grid.read_three_phase(tmp_path / f"zero{suffix}")
    (tmp_path / "folder.json").mkdir()
    refused(tmp_path / "folder.json", "a folder")
    (tmp_path / "round.json").symlink_to(tmp_path / "round.json")
    refused(tmp_path / "round.json", "cannot be read")
    for name in ("a\0b.json", "x" * 5000):
        with pytest.raises(grid.InputError):
            grid.read_case(name)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    """A hole of 20 GB takes no space on disk."""
    for name in ("grid.json", "feeder.dss"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(20_000_000_000)
        with pytest.raises(grid.InputError, match=r"has 20000 MB; allowed: at most (128|64) MB"):
            grid.read_three_phase(tmp_path / name)


def test_a_link_is_followed(tmp_path: Path) -> None:
    """A scenario may name files beside or above it, and links to them."""
    pp.to_json(small(), str(tmp_path / "grid.json"))
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "link.json").symlink_to(tmp_path / "grid.json")
    assert grid.read_case(tmp_path / "inner" / ".." / "inner" / "link.json").network.n == 2


def test_redirections_end(tmp_path: Path) -> None:
    """Thirty files that redirect twice each to the next are a billion."""
    for i in range(30):
        (tmp_path / f"f{i}.dss").write_text(f"Redirect f{i + 1}.dss\nRedirect f{i + 1}.dss\n")
    (tmp_path / "f30.dss").write_text("! nothing\n")
    with pytest.raises(grid.InputError, match="allowed: at most 1000"):
        read_dss(tmp_path / "f0.dss")
    for i in range(200):
        (tmp_path / f"g{i}.dss").write_text(f"Redirect g{i + 1}.dss\n")
    with pytest.raises(grid.InputError, match="51 inside one another"):
        read_dss(tmp_path / "g0.dss")


CIRCUIT = "New Circuit.c basekv=0.4 bus1=a\nNew Line.l bus1=a bus2=b phases=3\n"


@pytest.mark.parametrize(
    "line",
    [
        "New Load.x bus1=b phases=1e9",
        "New Load.x bus1=b phases=nan",
        "New Load.x bus1=b phases=1e400",
        "New Load.x bus1=b.\u00b2 phases=1",
        "New Load.x bus1=b." + "1" * 5000 + " phases=1",
        "New Line.m bus1=b bus2=c phases=3 rmatrix=[" + "1 " * 50,
        "New Load.x bus1=b kw=" + "9" * 400,
        "[ " * 500_000,
        "New Load.x " + "( " * 500_000,
        "Redirect /dev/zero",
        "Redirect ../../../../../../etc",
        "\x00\x01 = \x02",
    ],
    ids=lambda line: line[:30].encode("unicode_escape").decode(),
)
def test_scripts_that_attack_are_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "f.dss").write_text(CIRCUIT + line + "\n")
    with pytest.raises(grid.InputError):
        read_dss(tmp_path / "f.dss")


def test_names_of_an_older_editor_stay_apart(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 were once all the same letter, and two buses with them one."""
    text = "New Circuit.c basekv=0.4 bus1=a\nNew Line.l bus1=a bus2=\u00e9\nNew Line.m bus1=\u00e9 bus2=\u00e8\n"
    (tmp_path / "f.dss").write_bytes(text.encode("latin-1"))
    assert set(read_dss(tmp_path / "f.dss").network.bus_names) >= {"\u00e9", "\u00e8"}


def test_the_cache_holds_no_code_and_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged or hostile file in the cache is made anew."""
    monkeypatch.setenv("ADMMFLEX_CACHE", str(tmp_path / "cache"))
    pp.to_json(small(), str(tmp_path / "grid.json"))
    first = grid.read_case(tmp_path / "grid.json")
    (stored,) = (tmp_path / "cache").iterdir()
    large = np.broadcast_to(0.0, 150_000_000)
    attacks: list[dict[str, Any]] = [{"a": np.array([{}], dtype=object)}, {"network.y_ff": large}]
    for arrays in attacks:
        np.savez_compressed(stored, **arrays)
        case = grid.read_case(tmp_path / "grid.json")
        np.testing.assert_array_equal(case.network.y_ff, first.network.y_ff)


def test_every_kind_of_file_has_its_size() -> None:
    kinds = [files.SCENARIO, files.GRID, files.SCRIPT, files.TABLE, files.SUMMARY, files.RESULT]
    assert [kind.most // files.MB for kind in kinds] == [16, 128, 64, 512, 64, 4000]
