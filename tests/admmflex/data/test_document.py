"""YAML as people write it: times stay text, keys appear once, broken files are named with their line."""

from pathlib import Path

import pytest

from admmflex.data.document import parse, read
from admmflex.errors import InputError


def test_scalars_are_what_they_look_like() -> None:
    text = "a: 22:00\nb: 2016-05-20 06:00\nc: 1e-3\nd: yes\ne: true\nf: 010\ng: .5\nh: ~\ni: .nan\nj: -3\nk: 2016-05-20"
    data = parse(text, Path("x.yaml")).data
    assert (data["a"], data["b"], data["k"]) == ("22:00", "2016-05-20 06:00", "2016-05-20")
    assert (data["c"], data["g"], data["f"], data["j"]) == (0.001, 0.5, 10, -3)
    assert (data["d"], data["e"], data["h"]) == ("yes", True, None)
    assert data["i"] != data["i"]


def test_keys_that_appear_twice_are_all_named() -> None:
    with pytest.raises(InputError) as caught:
        parse("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n", Path("x.yaml"))
    assert [fault.element for fault in caught.value.faults] == ["b.c (line 5)", "a (line 6)"]
    assert "first in line 3" in caught.value.faults[0].value


def test_places_have_lines() -> None:
    document = parse("a:\n  - b: 1\n  - b: 2\n", Path("x.yaml"))
    assert document.where(("a", 1, "b")) == "a[1].b (line 3)"
    assert document.where(("a", 1, "missing")) == "a[1].missing (line 3)"
    assert document.where(()) == "x.yaml"


@pytest.mark.parametrize(
    "text", ["a: [1, 2", "a: b: c", "!!python/object/apply:os.system ['true']", "a: &x [*x", "a: &x [*x]", "\x00"]
)
def test_broken_yaml_is_a_fault(text: str) -> None:
    with pytest.raises(InputError, match="not YAML"):
        parse(text, Path("x.yaml"))


def test_a_missing_file_and_a_binary_file_are_faults(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        read(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(InputError, match="not UTF-8 text at byte 3"):
        read(tmp_path / "binary.yaml")
