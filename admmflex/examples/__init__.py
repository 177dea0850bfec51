"""Examples that come with the package: a folder each, with data, a README, and scenarios of which day.yaml is one."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from admmflex.data.nearest import nearest
from admmflex.errors import Fault, InputError

README, FIRST = "README.md", "day.yaml"


def titles() -> dict[str, str]:
    """What every example shows, by name: the first line of its README."""
    return {
        folder.name: (folder / README).read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")
        for folder in sorted(_folders(), key=lambda one: one.name)
    }


def copy(name: str, target: Path) -> list[Path]:
    """Copy an example into a new folder; returns its files.

    Raises:
        InputError: no such example, a folder that exists, one that cannot be written.
    """
    known = {folder.name: folder for folder in _folders()}
    if name not in known:
        allowed = ", ".join(sorted(known)) + nearest(name, known)
        raise InputError(Fault("example", repr(name), allowed, "correct the name"))
    try:
        target.mkdir(parents=True)
        return [_written(file, target / file.name) for file in sorted(known[name].iterdir(), key=lambda one: one.name)]
    except FileExistsError:
        allowed, remedy = "a folder that does not exist yet", "choose another one with --out; nothing is overwritten"
        raise InputError(Fault("example", f"{str(target)!r} exists", allowed, remedy)) from None
    except OSError as error:
        remedy = "choose another one with --out"
        raise InputError(Fault("example", f"{str(target)!r}: {error.strerror}", "a folder to write", remedy)) from None


def _folders() -> list[Traversable]:
    return [folder for folder in files(__package__).iterdir() if folder.is_dir() and (folder / README).is_file()]


def _written(source: Traversable, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target
