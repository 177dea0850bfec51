"""Scenario files and tables that attack: refused with a reason, in bounded memory and time."""

from __future__ import annotations

import gzip
import io
import os
import re
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from admmflex.data import table_file
from admmflex.data.document import MOST_VALUES, parse, read
from admmflex.errors import InputError
from admmflex.scenario import load
from grid.files import SCENARIO, content

pytestmark = pytest.mark.usefixtures("one_gigabyte")
HERE = Path("x.yaml")


def laughs(form: str, depth: int = 12) -> str:
    """Ten anchors of ten each, again and again: 10 ** depth values in a few lines."""
    lines = ["a0: &a0 {k: 1}"]
    for i in range(1, depth):
        lines.append(f"a{i}: &a{i} {form.format(', '.join([f'*a{i - 1}'] * 10))}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (laughs("[{}]"), f"anchors that stand for more than {MOST_VALUES} values"),
        (laughs("{{x: [{}]}}"), f"anchors that stand for more than {MOST_VALUES} values"),
        (laughs("{{!!merge <<: [{}]}}"), "the tag 'tag:yaml.org,2002:merge'"),
        ("a: &x [*x]", "an anchor that contains itself"),
        ("a: &x {b: {c: [*x]}}", "an anchor that contains itself"),
        ("[" * 100_000, "more than 40 levels"),
        ("{a: " * 100_000, "more than 40 levels"),
        ("- " * 100_000, "more than 40 levels"),
        ("a: !!python/object/apply:os.system ['true']", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: !!python/name:os.system", "the tag"),
        ("a: !!binary aGVsbG8=", "the tag"),
        ("a: !!timestamp x", "the tag"),
        ("a: !!bool x", "the tag"),
        ("a: !!set {b}", "the tag"),
        ("a: !include /etc/passwd", "the tag '!include'"),
        ("%TAG ! tag:yaml.org,2002:python/\n---\na: !object:os.system x", "the tag"),
        ("seed: " + "9" * 5000, "not YAML"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("a: \x00", "not YAML"),
        ("a: \ud800", "not YAML"),
    ],
    ids=lambda value: value[:30].encode("unicode_escape").decode(),
)
def test_yaml_is_values_and_ends(text: str, found: str) -> None:
    begin = time.process_time()
    with pytest.raises(InputError, match=found):
        parse(text, HERE)
    assert time.process_time() - begin < 5.0


def test_an_anchor_may_be_used_again() -> None:
    data = parse("a: &sun [0, 1]\nb: {c: *sun}\nd: *sun\n", HERE).data
    assert data == {"a": [0, 1], "b": {"c": [0, 1]}, "d": [0, 1]}


def test_files_that_are_no_scenarios(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match="a device or a pipe"):
        read(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match="a device or a pipe"):
        read(Path("/dev/zero"))
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(InputError, match="has 10000 MB; allowed: at most 16 MB"):
        read(tmp_path / "large.yaml")


DAY = """
name: day
network: {network}
horizon: {{start: 2016-05-20 06:00, steps: 2}}
tariff: {{import: 0.3, export: 0.1}}
prosumers:
  tables: {{prosumers: "{prosumers}", profiles: "{profiles}"}}
"""


@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "a\\0b", "x" * 5000, "/proc/self", "../gone", "round"])
def test_every_place_that_a_scenario_names_is_looked_at(place: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    text = DAY.format(network=f'"{place}"', prosumers=place, profiles=place)
    (tmp_path / "day.yaml").write_text(text)
    from admmflex.scenario import build

    with pytest.raises(InputError) as caught:
        build(load(tmp_path / "day.yaml"))
    assert len(caught.value.faults) >= 2


def test_an_archive_is_no_table(tmp_path: Path) -> None:
    """pandas unpacks what is called .zip or .gz: a gigabyte of zeros may be a megabyte."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.csv", "w") as file:
        file.write(b"time,sun\n")
        for _ in range(20):
            file.write(b"0,0\n" * 250_000)
    (tmp_path / "a.csv.zip").write_bytes(packed.getvalue())
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"time,sun\n" + b"0,0\n" * 10))
    for name in ("a.csv.zip", "a.csv.gz"):
        with pytest.raises(InputError, match=r"is not UTF-8|cannot be read"):
            table_file.read(tmp_path / name, text=False)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"time,sun\n" + b"," * 60_000_000, "60 million cells; allowed: at most 50 million"),
        (b"time,\xff\xfe\n1,2\n", "is not UTF-8 text"),
        (b"\x00" * 1000, "holds a NUL byte at 0"),
        (b'"' + b"x" * 1_000_000, "cannot be read"),
        (b"time,sun\n" + b'2016-05-20 06:00,"' + b"9" * 100_000, "cannot be read"),
    ],
    ids=["cells", "latin", "nul", "header", "quote"],
)
def test_csv_that_attacks(content: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=found):
        table_file.read(tmp_path / "a.csv", text=False)


def test_a_prosumer_table_has_fewer_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"name,bus\n" + b"," * 6_000_000)
    with pytest.raises(InputError, match="6 million cells; allowed: at most 5 million"):
        table_file.read(tmp_path / "a.csv", text=True)


def test_parquet_that_declares_more_than_it_has(tmp_path: Path) -> None:
    """A hundred million equal rows are a few kilobytes."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    batch = pa.table({"time": np.zeros(10_000_000, np.int8)})
    with parquet.ParquetWriter(tmp_path / "a.parquet", batch.schema, compression="zstd") as writer:
        for _ in range(8):
            writer.write_table(batch)
    assert (tmp_path / "a.parquet").stat().st_size < 1_000_000
    with pytest.raises(InputError, match="80 million cells; allowed: at most 50 million"):
        table_file.read(tmp_path / "a.parquet", text=False)
    damaged = bytearray((tmp_path / "a.parquet").read_bytes())
    damaged[len(damaged) // 2 :: 7] = b"\xff" * len(damaged[len(damaged) // 2 :: 7])
    (tmp_path / "b.parquet").write_bytes(damaged)
    with pytest.raises(InputError, match="cannot be read"):
        table_file.read(tmp_path / "b.parquet", text=False)


def test_a_path_that_is_nearly_right_is_told(tmp_path: Path) -> None:
    (tmp_path / "day.yaml").write_text("name: day\n")
    (tmp_path / "day.csv").write_text("time\n")
    for wrong in (tmp_path / "dya.yaml", tmp_path):
        with pytest.raises(InputError, match=re.escape(f"there is {tmp_path / 'day.yaml'}") + "$"):
            content(wrong, SCENARIO, "scenario file")
    with pytest.raises(InputError, match=r"check the path$"):
        content(tmp_path / "other.yaml", SCENARIO, "scenario file")
