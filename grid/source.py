"""Where pandapower grids come from: JSON files and SimBench."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from grid import files
from grid.errors import Fault, InputError, require
from grid.plain_json import plain

if TYPE_CHECKING:
    from pandapower import pandapowerNet


def open_json(path: Path) -> pandapowerNet:
    """A pandapower grid from a JSON file; nothing that the file names is imported, called or opened.

    Raises:
        InputError: no such file, too large, not JSON, not a pandapower grid, or objects in it that are no data.
    """
    where, allowed, remedy = f"file {str(path)!r}", files.GRID.allowed, "write the grid again with pandapower.to_json"
    try:
        text, faults = plain(files.content(path, files.GRID, where).decode("utf-8"), where)
    except RecursionError as error:
        raise InputError(Fault(where, "not JSON: nested too deeply", allowed, remedy)) from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(Fault(where, f"not JSON: {error}", allowed, remedy)) from error
    require(faults)
    import pandapower as pp

    try:
        net = pp.from_json_string(text, convert=True)
    except Exception as error:  # pandapower raises many kinds on a damaged file
        found = f"pandapower cannot read it: {error}"
        raise InputError(Fault(where, found, allowed, remedy)) from error
    empty = pp.create_empty_network()
    damaged = [
        name for name, table in empty.items() if hasattr(table, "columns") and not hasattr(net.get(name), "columns")
    ]
    if damaged:
        raise InputError(Fault(where, f"no table: {', '.join(damaged)}", allowed, remedy))
    return net


def open_simbench(code: str) -> pandapowerNet:
    """A SimBench grid with its year of profiles.

    Raises:
        InputError: unknown code, or SimBench is not installed.
    """
    try:
        import simbench
    except ImportError as error:
        remedy = "install it: pip install 'admmflex[simbench]'"
        raise InputError(Fault(f"network {code!r}", "simbench is not installed", "simbench", remedy)) from error
    codes = simbench.collect_all_simbench_codes()
    if code not in codes:
        near = ", ".join(get_close_matches(code, codes, n=3, cutoff=0.0))
        raise InputError(Fault(f"network {code!r}", "unknown SimBench code", f"such as {near}", "correct the code"))
    return simbench.get_simbench_net(code)
