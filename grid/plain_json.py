"""What may stand in the JSON of a pandapower grid before pandapower sees it.

``pandapower.from_json`` imports any module that ``_module`` names, which runs its code, calls classes in it, and opens
a file where a table has a path for its content. Here a grid is numbers and texts in tables: objects of pandapower's
own in them (controllers, characteristics) are left out, nothing else is let through.
"""

from __future__ import annotations

import json
import re
from typing import Any

from grid.errors import Fault

_NET = ("pandapower.auxiliary", "pandapowerNet")
_TABLES = (("pandas.core.frame", "DataFrame"), ("pandas", "DataFrame"))
_OPTIONS = {
    "_module", "_class", "_object", "dtype", "orient", "is_multiindex", "is_multicolumn", "index_name", "index_names",
    "column_name", "column_names",
}  # fmt: skip
_ORIENTS = ("split", "columns", "index", "records")
_DTYPE = re.compile(r"(u?int|float)(8|16|32|64)|U?Int64|Float64|bool(ean)?|object|str(ing)?|category|datetime64\[ns\]")
_LEFT_OUT = re.compile(r"(pandapower|networkx|shapely|geopandas)(\.\w+)*")
_REMEDY = "write the grid with pandapower.to_json, without objects of other programs"


def plain(text: str, where: str) -> tuple[str, list[Fault]]:
    """The JSON of a grid without objects, and a fault for everything that would have been imported or opened.

    Raises:
        ValueError: not JSON.
        RecursionError: nested too deeply.
    """
    net, faults = json.loads(text), list[Fault]()
    if not isinstance(net, dict) or _tag(net) != _NET or not isinstance(net.get("_object"), dict):
        allowed = "a grid written by pandapower.to_json"
        return "", [Fault(where, "not a pandapower grid", allowed, "write the grid with pandapower.to_json")]
    found: dict[str, Any] = {}
    for name, value in net["_object"].items():
        element = f"{where}, table {name!r}"
        kept = _table(value, element, faults) if _is_table(value) else _cells(value, element, faults)
        if kept is not None or value is None:
            found[name] = kept
    return json.dumps(dict(zip(("_module", "_class"), _NET, strict=True)) | {"_object": found}), faults


def _tag(value: dict[str, Any]) -> tuple[Any, Any]:
    return value.get("_module"), value.get("_class")


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and _tag(value) in _TABLES


def _table(value: dict[str, Any], element: str, faults: list[Fault]) -> Any:
    """A table with its cells checked; what pandas is told beside them is text that means a form, not a place."""
    dtypes = value.get("dtype", {})
    dtypes = dtypes if isinstance(dtypes, dict) else {"": dtypes}
    odd = [f"option {name!r}" for name in sorted(value.keys() - _OPTIONS)]
    odd += [f"dtype {one!r}" for one in dtypes.values() if not (isinstance(one, str) and _DTYPE.fullmatch(one))]
    odd += [f"orient {value['orient']!r}"] if value.get("orient", "split") not in _ORIENTS else []
    try:
        cells = json.loads(value["_object"])
        odd += [] if isinstance(cells, dict | list) else ["content that is no table"]
    except (KeyError, TypeError, ValueError):
        odd.append("content that is not JSON")
    if odd:
        faults += [Fault(element, one[:100], "a table as pandapower writes it", _REMEDY) for one in odd]
        return None
    before = len(faults)
    kept = _cells(cells, element, faults)
    return None if len(faults) > before else value | {"_object": json.dumps(kept)}


def _cells(value: Any, element: str, faults: list[Fault]) -> Any:
    """A value without tagged objects: numpy's scalars as numbers, pandapower's objects as nothing."""
    if isinstance(value, list):
        return [_cells(one, element, faults) for one in value]
    if not isinstance(value, dict):
        return value
    if "_module" not in value or "_class" not in value:
        return {name: _cells(one, element, faults) for name, one in value.items()}
    module, kind = _tag(value)
    content = value.get("_object")
    if module == "numpy" and not isinstance(content, dict | str):
        return _cells(content, element, faults)
    if not (isinstance(module, str) and _LEFT_OUT.fullmatch(module)) and (module, kind) not in _TABLES:
        what = f"an object of class {str(kind)[:40]!r} from module {str(module)[:40]!r}"
        faults.append(Fault(element, what, "numbers and texts", _REMEDY))
    return None
