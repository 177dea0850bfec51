"""OpenDSS scripts as plain objects: which elements are defined where, with which properties."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grid import files
from grid.errors import Fault, InputError

Value = tuple[str, str]  # text, and where it stands

_CLOSING = {'"': '"', "'": "'", "[": "]", "(": ")", "{": "}"}
_QUOTED = "|".join(rf"\{a}[^\{b}]*(?:\{b}|$)" for a, b in _CLOSING.items())  # what is not closed ends with the line
_TOKEN = re.compile(rf"\s*,?\s*(?:([%\w.\-]+)\s*=\s*)?({_QUOTED}|[^\s,=]+)")
_COMMENT = re.compile(r"!.*|//.*")
_CONTINUED = ("~", "more", "m")
_NO_EFFECT = (
    "solve", "calcvoltagebases", "calcv", "buscoords", "latloncoords", "makebuslist", "show",
    "export", "plot", "visualize", "setkvbase", "sample", "closedi", "cd", "reset", "summary",
)  # fmt: skip
NO_CURRENT = (
    "loadshape", "tshape", "priceshape", "xycurve", "growthshape", "spectrum", "monitor", "energymeter", "sensor",
    "tcc_curve", "wiredata", "linespacing", "linegeometry", "cndata", "tsdata",
)  # fmt: skip
MOST_FILES, DEEPEST = 1000, 50
FREQUENCY = "defaultbasefrequency"
_OPTIONS_READ = (FREQUENCY, "voltagebases", "loadmult")
_OPTIONS_WITHOUT_EFFECT = (
    "mode", "number", "stepsize", "h", "hour", "sec", "time", "year", "tolerance", "maxiterations", "maxiter",
    "maxcontroliter", "maxcontroli", "controlmode", "algorithm", "casename", "datapath", "markertransformers",
    "markercode", "nodewidth", "daisysize", "showexport", "editor", "allowduplicates", "normvminpu", "normvmaxpu",
    "emergvminpu", "emergvmaxpu", "demand", "demandinterval", "overloadreport", "voltexceptionreport", "trapezoidal",
    "registry", "circuit",
)  # fmt: skip


@dataclass
class Element:
    """One element of a script: class and name in lower case, and its properties in the order they were set."""

    kind: str
    name: str
    where: str
    given: list[tuple[str, Value]] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{self.where}: {self.kind}.{self.name}"


@dataclass
class Script:
    """What a script and the files that it redirects to define.

    ``options`` are those of ``set`` that matter here; ``faults`` everything that was not understood; ``sizes`` are
    those of the files read, in bytes.
    """

    elements: dict[tuple[str, str], Element] = field(default_factory=dict)
    options: dict[str, Value] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def numbers(self, option: str, default: tuple[float, ...] = (), above: float = -math.inf) -> tuple[float, ...]:
        """Finite numbers that an option lists; the default with a fault when one is not, or not above a limit."""
        if option not in self.options:
            return default
        text, where = self.options[option]
        try:
            found = tuple(float(word) for word in text.replace(",", " ").split())
        except ValueError:
            found = ()
        if found and all(above < each < math.inf for each in found):
            return found
        allowed = "numbers" if above == -math.inf else f"numbers above {above:g}"
        self.faults.append(Fault(where, f"{option} = {text}", allowed, "correct the option"))
        return default

    def number(self, option: str, default: float, above: float = -math.inf) -> float:
        """One such number."""
        found = self.numbers(option, (default,), above)
        if len(found) > 1:
            text, where = self.options[option]
            self.faults.append(Fault(where, f"{option} = {text}", "one number", "correct the option"))
        return found[0]


def read_script(path: Path) -> Script:
    """Read an OpenDSS script; faults are collected, not raised, unless it redirects without end."""
    script = Script()
    _read_file(path, script, (), f"file {str(path)!r}")
    return script


def _read_file(path: Path, script: Script, inside: tuple[Path, ...], where: str) -> None:
    full = path.resolve()
    if full in inside:
        script.faults.append(Fault(where, f"{path.name} redirects to itself", "no circle", "remove the redirection"))
        return
    try:
        found = files.content(path, files.SCRIPT, where)
    except InputError as error:
        script.faults += error.faults
        return
    script.sizes.append(len(found))
    if len(script.sizes) > MOST_FILES or len(inside) > DEEPEST or sum(script.sizes) > files.SCRIPT.most:
        # files that redirect to two others each would never end
        value = f"{len(script.sizes)} files of {sum(script.sizes) / files.MB:.0f} MB, {len(inside)} inside one another"
        allowed = f"at most {MOST_FILES}, {files.SCRIPT.most // files.MB} MB, {DEEPEST}"
        raise InputError([*script.faults, Fault(where, value, allowed, "merge files")])
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError:  # of an older editor: any bytes, and different ones stay different
        text = found.decode("latin-1")
    last: Element | None = None
    for number, line in _lines(text):
        last = _command(line, f"{path.name}:{number}", path, script, (*inside, full), last)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with content, without comments, and their numbers."""
    block = False
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if block or stripped.startswith("/*"):
            block = "*/" not in stripped
            continue
        stripped = _COMMENT.sub("", stripped).strip()
        if stripped:
            yield number, stripped


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of property (lower case, empty when positional) and value without its quotes or brackets."""
    for match in _TOKEN.finditer(text):
        key, value = (match[1] or "").lower(), match[2]
        closing = _CLOSING.get(value[0])
        yield key, value if closing is None else value[1:].removesuffix(closing).strip()


def _command(
    line: str, where: str, path: Path, script: Script, inside: tuple[Path, ...], last: Element | None
) -> Element | None:
    """Carry out one line; returns the element that a following ``~`` continues."""
    verb, rest = (*line.split(maxsplit=1), "")[:2]
    verb = verb.lower()
    if verb.startswith("~") and verb != "~":
        verb, rest = "~", line[1:]
    if verb in _CONTINUED:
        if last is None:
            script.faults.append(Fault(where, line, "an element to continue", "begin it with New"))
        else:
            last.given += [(key, (value, where)) for key, value in _tokens(rest)]
        return last
    if verb in ("new", "edit"):
        return _element(verb, rest, where, script)
    if verb in ("redirect", "compile"):
        name = next(_tokens(rest), ("", ""))[1].replace("\\", "/")
        _read_file(path.parent / name, script, inside, where)
    elif verb == "set":
        _options(rest, where, script)
    elif verb in ("clear", "clearall"):
        script.elements.clear()
    elif verb in ("disable", "enable"):
        found = _find(next(_tokens(rest), ("", ""))[1].lower(), script)
        if found is None:
            script.faults.append(Fault(where, line, "an element defined before", "correct the name"))
        else:
            found.given.append(("enabled", ("yes" if verb == "enable" else "no", where)))
    elif verb not in _NO_EFFECT and not (verb == "batchedit" and rest.strip().lower().startswith(NO_CURRENT)):
        script.faults.append(Fault(where, f"command {verb!r}", "New, Edit, Redirect, Set", "rewrite the line"))
    return None


def _element(verb: str, rest: str, where: str, script: Script) -> Element | None:
    tokens = list(_tokens(rest))
    kind, dot, name = (tokens[0][1] if tokens and tokens[0][0] in ("", "object") else "").lower().partition(".")
    if not dot or not name:
        script.faults.append(Fault(where, f"{verb} {rest}", "class.name", "name the element as class.name"))
        return None
    known = _find(f"{kind}.{name}", script)
    if (known is None) == (verb == "edit"):
        allowed = "an element defined before" if verb == "edit" else "a name used once"
        script.faults.append(Fault(where, f"{verb} {kind}.{name}", allowed, "correct the name"))
        return known
    element = known or Element(kind, name, where)
    script.elements.setdefault((element.kind, element.name), element)
    element.given += [(key, (value, where)) for key, value in tokens[1:]]
    return element


def _find(full_name: str, script: Script) -> Element | None:
    """An element by class.name; ``vsource.source`` is the circuit's own."""
    if full_name == "vsource.source":
        return next((e for e in script.elements.values() if e.kind == "circuit"), None)
    kind, _, name = full_name.partition(".")
    return script.elements.get((kind, name))


def _options(rest: str, where: str, script: Script) -> None:
    for key, value in _tokens(rest):
        if key and FREQUENCY.startswith(key) and len(key) > 7:
            if script.elements:
                value_now = f"{key} = {value} after the first New"
                script.faults.append(Fault(where, value_now, "before New Circuit", "move it to the top"))
            script.options[FREQUENCY] = (value, where)
        elif key in _OPTIONS_READ:
            script.options[key] = (value, where)
        elif key not in _OPTIONS_WITHOUT_EFFECT:
            allowed = ", ".join(_OPTIONS_READ)
            script.faults.append(Fault(where, f"option {key or value!r}", allowed, "remove the option"))
