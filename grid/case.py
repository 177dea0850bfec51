"""A grid with what stands in it, from a file or a SimBench code, cached so that pandapower is imported only once."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from grid import files
from grid.arrays import Array
from grid.elements import Elements, Profiles, elements, profiles
from grid.errors import Fault, InputError
from grid.network import Network
from grid.read import Taps, read
from grid.source import open_json, open_simbench

_FORMAT = "2"  # of the cached file: count up when the reader's result changes
_CODE = re.compile(r"[01]-(EHV|HV|MV|LV|EHVHVMVLV)\w*-.*-(sw|no_sw)")


@dataclass(frozen=True, eq=False)
class Case:
    """A network, the elements that stand in its file, and their profiles if it has some."""

    network: Network
    elements: Elements
    profiles: Profiles | None

    def powers(self, e: int, rows: slice) -> tuple[Array, Array]:
        """Injection (p_kw, q_kvar) of one element over some profile rows, positive into the grid; 0 out of service.

        Raises:
            InputError: the element names a profile that the case does not have.
        """
        kept, found = self.elements, []
        sign = 1000.0 * (1.0 if kept.kind[e] == "sgen" else -1.0) * kept.scaling[e] * float(kept.in_service[e])
        steps = len(range(*rows.indices(len(self.profiles) if self.profiles is not None else rows.stop)))
        for name, size in zip(kept.profile_names(e), (kept.p_mw[e], kept.q_mvar[e]), strict=True):
            if name and self.profiles is None:
                raise InputError(
                    Fault(kept.label(e), f"profile {name!r}", "a grid with profiles", "use a SimBench grid")
                )
            factor = self.profiles[name][rows] if name and self.profiles is not None else np.ones(steps)
            found.append(sign * size * factor)
        return found[0], found[1]

    def bus_sums(self, rows: slice, kinds: tuple[str, ...] = ("load", "sgen")) -> tuple[Array, Array]:
        """Injections (p_kw, q_kvar), each (n, K), of all elements of some kinds, summed by bus of the network."""
        chosen = [
            e for e in range(len(self.elements)) if self.elements.kind[e] in kinds and self.elements.in_service[e]
        ]
        at = self.network.positions(self.elements.bus[chosen])
        series = [self.powers(e, rows) for e in chosen]
        steps = len(series[0][0]) if series else 0
        p, q = np.zeros((self.network.n, steps)), np.zeros((self.network.n, steps))
        for bus, (p_e, q_e) in zip(at, series, strict=True):
            p[bus] += p_e
            q[bus] += q_e
        return p, q


def read_case(source: str | Path, *, taps: Taps = "as_given") -> Case:
    """Read a pandapower JSON file or a SimBench grid, from the cache when it has been read before.

    Args:
        source: path of a ``.json`` file, or a code such as ``1-LV-rural1--2-sw``.
        taps: "neutral" puts every tap changer in its neutral position.

    Raises:
        InputError: no such file or code, not a pandapower file, or faults of the grid, all of them.
    """
    path = Path(source)
    if os.path.lexists(path):
        content = files.content(path, files.GRID, f"file {str(path)!r}")
        return _cached(["file", hashlib.sha256(content).hexdigest(), taps], lambda: _convert(open_json(path), taps))
    if _CODE.fullmatch(str(source)):
        return _cached(
            ["simbench", str(source), _version("simbench"), taps],
            lambda: _convert(open_simbench(str(source)), taps),
        )
    remedy = "give the path of a pandapower .json file or a SimBench code such as 1-LV-rural1--2-sw"
    raise InputError(
        Fault(f"network {str(source)!r}", "no such file, and no SimBench code", "a file or a code", remedy)
    )


def _convert(net: Any, taps: Taps) -> Case:
    return Case(read(net, taps=taps), elements(net), profiles(net))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def cache_directory() -> Path:
    """Where converted grids are kept: ADMMFLEX_CACHE, else XDG_CACHE_HOME/admmflex, else ~/.cache/admmflex."""
    own = os.environ.get("ADMMFLEX_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "admmflex"


def _cached(key: list[str], build: Callable[[], Case]) -> Case:
    """Load what an earlier call stored under a key, else build and store it; an unreadable file is built anew."""
    text = "\0".join([*key, _FORMAT, _version("pandapower")])
    path = cache_directory() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"
    try:
        return load(path)
    except (OSError, EOFError, KeyError, MemoryError, TypeError, ValueError, zipfile.BadZipFile, zlib.error):
        case = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(case, path)
    except OSError:
        return case  # no place to keep it: the next call converts again
    return case


def save(case: Case, path: Path) -> None:
    """Write a case as one ``.npz`` without pickle, whole or not at all."""
    data = {f"network.{name}": array for name, array in case.network.to_arrays().items()}
    for part in ("elements", "profiles"):
        kept = getattr(case, part)
        data |= (
            {f"{part}.{field.name}": getattr(kept, field.name) for field in fields(kept)} if kept is not None else {}
        )
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path: Path) -> Case:
    """Read what ``save`` wrote; raises OSError, KeyError, ValueError, TypeError or BadZipFile when it cannot."""
    parts: dict[str, dict[str, Any]] = {"network": {}, "elements": {}, "profiles": {}}
    with np.load(path, allow_pickle=False) as data:
        for name in data.files:
            part, _, field = name.partition(".")
            parts[part][field] = data[name]
    kept = Profiles(**parts["profiles"]) if parts["profiles"] else None
    return Case(Network.from_arrays(parts["network"]), Elements(**parts["elements"]), kept)
