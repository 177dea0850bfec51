"""Where pandapower grids come from: JSON files and SimBench."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from grid.errors import Fault, InputError

if TYPE_CHECKING:
    from pandapower import pandapowerNet


def open_json(path: Path) -> pandapowerNet:
    """A pandapower grid from a JSON file; no code in the file is executed (pandapower >= 3.5.6).

    Raises:
        InputError: no such file, not JSON, or not a pandapower grid.
    """
    where, allowed = f"file {str(path)!r}", "a grid written by pandapower.to_json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(Fault(where, f"not readable: {error.strerror}", allowed, "correct the path")) from error
    except ValueError as error:
        raise InputError(
            Fault(where, f"not JSON: {error}", allowed, "write the grid again with pandapower.to_json")
        ) from error
    if not isinstance(content, dict) or content.get("_class") != "pandapowerNet":
        raise InputError(Fault(where, "not a pandapower grid", allowed, "write the grid with pandapower.to_json"))
    import pandapower as pp

    try:
        net = pp.from_json(str(path))
    except Exception as error:  # pandapower raises many kinds on a damaged file
        found = f"pandapower cannot read it: {error}"
        raise InputError(Fault(where, found, allowed, "write the grid again with pandapower.to_json")) from error
    empty = pp.create_empty_network()
    damaged = [
        name for name, table in empty.items() if hasattr(table, "columns") and not hasattr(net.get(name), "columns")
    ]
    if damaged:
        found = f"no table: {', '.join(damaged)}"
        raise InputError(Fault(where, found, allowed, "write the grid again with pandapower.to_json"))
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
