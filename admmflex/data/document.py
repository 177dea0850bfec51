"""A YAML file as plain data, with the line of every key and all faults of its form.

The values are read by the rules of YAML 1.2: ``06:00`` and ``2016-05-20`` stay text (version 1.1 makes 22:00 the number
1320), ``1e-3`` is a number, ``yes`` and ``on`` are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError

from admmflex.errors import Fault, InputError, require
from grid import files

MOST_VALUES = 2_000_000
"""Numbers, texts, lists and sections of a scenario, each anchor counted wherever it is used."""
_DEEPEST = 40
Location = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2, without tags and without more levels than any scenario has."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise ComposerError(None, None, f"the tag {tag!r}, where values are plain", event.start_mark)
        if self.depth >= _DEEPEST:
            raise ComposerError(None, None, f"more than {_DEEPEST} levels", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"^({_NUMBER.pattern})$"), list("-+0123456789."))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """Decimal, also with leading zeros (version 1.1 reads 010 as eight)."""
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


@dataclass(frozen=True)
class Document:
    """What a YAML file says: ``data`` as dicts, lists and scalars, ``lines`` the line of every key."""

    path: Path
    text: str
    data: Any
    lines: dict[Location, int] = field(default_factory=dict)

    def where(self, location: Location) -> str:
        """Name of a place for messages: ``prosumers.list[3].bus (line 12)``."""
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
        known = next((location[:n] for n in range(len(location), 0, -1) if location[:n] in self.lines), ())
        line = f" (line {self.lines[known]})" if known in self.lines else ""
        return f"{name or self.path.name}{line}"


def read(path: Path) -> Document:
    """Read one YAML file; a missing file, one that is too large, broken YAML and duplicate keys are faults."""
    element = f"scenario file '{path}'"
    found = files.content(path, files.SCENARIO, element)
    try:
        text = found.decode("utf-8")
    except UnicodeDecodeError as error:
        value = f"is not UTF-8 text at byte {error.start}"
        raise InputError(Fault(element, value, "YAML text", "save it as UTF-8")) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """Parse YAML text that came from ``path``."""
    lines: dict[Location, int] = {}
    faults: list[Fault] = []
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _require_bounded(node)
            _walk(node, (), lines, faults)
        data = None if node is None or faults else loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(
            Fault(f"scenario file '{path}'", f"not YAML: {_reason(error)}", "valid YAML", "correct the file there")
        ) from error
    require(faults)
    return Document(path, text, data, lines)


def _require_bounded(root: yaml.Node) -> None:
    """Values that stand for anchors are counted wherever they stand: ten anchors of ten each are ten billion.

    Raises:
        ComposerError: more values than ``MOST_VALUES``, or an anchor within itself.
    """
    size: dict[int, int | None] = {}  # None while its parts are counted

    def count(node: yaml.Node) -> int:
        known = size.get(id(node), 0)
        if known is None:
            raise ComposerError(None, None, "an anchor that contains itself", node.start_mark)
        if known:
            return known
        size[id(node)] = None
        parts = node.value if isinstance(node, yaml.SequenceNode) else []
        parts = [one for pair in node.value for one in pair] if isinstance(node, yaml.MappingNode) else parts
        total = 1 + sum(count(part) for part in parts)
        if total > MOST_VALUES:
            what = f"anchors that stand for more than {MOST_VALUES} values"
            raise ComposerError(None, None, what, node.start_mark)
        size[id(node)] = total
        return total

    count(root)


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} at line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem).replace("\n", " ")


def _walk(node: yaml.Node, at: Location, lines: dict[Location, int], faults: list[Fault]) -> None:
    """Collect the lines of all keys and the keys that appear twice."""
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            lines[(*at, number)] = item.start_mark.line + 1
            _walk(item, (*at, number), lines, faults)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place, line = (*at, str(key.value)), key.start_mark.line + 1
            if place in lines:
                name = ".".join(str(part) for part in place)
                faults.append(
                    Fault(
                        f"{name} (line {line})",
                        f"key appears twice, first in line {lines[place]}",
                        "once",
                        "remove one",
                    )
                )
            lines[place] = line
            _walk(value, place, lines, faults)
