"""What a netCDF (HDF5) file declares, looked at before anything of it is read.

A few bytes can declare an array of any size, a link or an external storage that reads another file of the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from admmflex.errors import Fault, require
from grid import files


def require_plain(path: Path, kind: files.Kind, element: str) -> None:
    """Raise what keeps a file from being read: links, groups, external or virtual data, names, size once unpacked.

    Raises:
        InputError: any of these, all of them.
        OSError: not HDF5.
    """
    import h5py  # type: ignore[import-untyped]

    files.size(path, kind, element)
    found: list[Fault] = []
    with h5py.File(path, "r") as file:
        total = 0
        for name in file:
            odd = _odd(file, name)
            if odd:
                allowed, remedy = "arrays with plain names, stored in the file", "run the scenario again"
                found.append(Fault(f"{element}, {name[:40]!r}", odd, allowed, remedy))
            else:
                total += file[name].size * file[name].dtype.itemsize
    if total > kind.most:
        value = f"{path.name} declares {total / files.MB:.3g} MB"
        found.append(Fault(element, value, f"at most {kind.most / files.MB:g} MB", kind.smaller))
    require(found)


def _odd(file: Any, name: str) -> str:
    """What makes an entry other than an array of this file; empty for one that is."""
    if type(file.get(name, getlink=True)).__name__ != "HardLink":
        return "a link"
    one = file[name]
    if not hasattr(one, "is_virtual"):
        return "no array"
    if one.shape is None or one.is_virtual or one.external:
        return "data outside of the file"
    return "" if name.isidentifier() else "a name that is none"
