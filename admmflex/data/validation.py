"""From a document to a specification, with pydantic's complaints as faults that name place and remedy."""

from __future__ import annotations

import copy
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from admmflex.data.document import Document, Location
from admmflex.data.export_spec import ExportSpec
from admmflex.data.nearest import nearest
from admmflex.data.prosumer_spec import ProsumerSpec
from admmflex.data.spec import ScenarioSpec
from admmflex.errors import Fault, InputError

_GONE = object()
_LONGEST = 60


def check(document: Document) -> tuple[ScenarioSpec | None, list[Fault]]:
    """The specification and all faults of form.

    With faults the specification is what remains without the faulty entries, or None where nothing sensible remains: it
    only serves to look for further faults.
    """
    try:
        return ScenarioSpec.model_validate(document.data), []
    except ValidationError as error:
        details = error.errors()
    faults = convert(details, document, ScenarioSpec)
    try:
        return ScenarioSpec.model_validate(_without(document.data, details)), faults
    except ValidationError:
        return None, faults


def check_export(document: Document) -> ExportSpec:
    """The specification of a search for export limits.

    Raises:
        InputError: every fault of form.
    """
    try:
        return ExportSpec.model_validate(document.data)
    except ValidationError as error:
        raise InputError(convert(error.errors(), document, ExportSpec)) from None


def prosumer_rows(rows: list[dict[str, Any]], path: Path) -> tuple[list[ProsumerSpec], list[Fault]]:
    """The rows of a table as prosumers, and the faults of the others; row 1 is the first below the header."""
    good: list[ProsumerSpec] = []
    faults: list[Fault] = []
    adapter = TypeAdapter(ProsumerSpec)
    for number, row in enumerate(rows, start=1):
        try:
            good.append(adapter.validate_python(row))
        except ValidationError as error:
            name = row.get("name", "")
            document = Document(Path(f"table '{path.name}' row {number} {name}".strip()), "", row)
            for fault in convert(error.errors(), document, ProsumerSpec):
                place = (
                    fault.element if fault.element == document.path.name else f"{document.path.name}: {fault.element}"
                )
                faults.append(Fault(place, fault.value, fault.allowed, fault.remedy))
    return good, faults


def convert(details: list[ErrorDetails], document: Document, model: type[BaseModel]) -> list[Fault]:
    """One fault per place; the branches of a union are alternatives of one fault."""
    places: dict[Location, list[ErrorDetails]] = {}
    for detail in details:
        places.setdefault(_place(detail, document.data), []).append(detail)
    return [_fault(place, found, document, model) for place, found in places.items()]


def _fault(place: Location, details: list[ErrorDetails], document: Document, model: type[BaseModel]) -> Fault:
    detail = details[0]
    kind, key = detail["type"], str(place[-1]) if place else document.path.name
    if kind == "extra_forbidden":
        known = _keys(model, place[:-1])
        return Fault(
            document.where(place),
            f"unknown key {key!r}",
            f"{', '.join(known)}{nearest(key, known)}",
            f"correct or remove {key}",
        )
    if kind == "missing":
        return Fault(document.where(place), f"key {key!r} is missing", "a value", f"add {key}")
    if kind == "value_error":
        return Fault(document.where(place), "is not consistent", str(detail["ctx"]["error"]), f"correct {key}")
    shown = repr(detail["input"])
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
    allowed = dict.fromkeys(_allowed(found) for found in details)
    value = f"{key} = {shown}" if place else f"holds {shown}, and no keys"
    return Fault(document.where(place), value, ", or ".join(allowed), f"correct {key}")


def _allowed(detail: ErrorDetails) -> str:
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "a section of keys with values"
    if detail["type"] in ("tuple_type", "list_type"):
        return "a list"
    message = detail["msg"].removeprefix("Input should be ").removeprefix("Input should ")
    return message[:1].lower() + message[1:]


def _place(detail: ErrorDetails, data: Any) -> Location:
    """The part of a location that exists in the data; pydantic adds the names of union branches to it."""
    place: list[str | int] = []
    for part in detail["loc"]:
        if _has(data, part):
            data = data[part]
        elif detail["type"] == "missing" and isinstance(data, dict):
            return (*place, part)
        else:
            break
        place.append(part)
    return tuple(place)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _without(data: Any, details: list[ErrorDetails]) -> Any:
    """The data without the faulty entries.

    A missing key outside of a list cannot be mended; the rest then has no form and is not looked at.
    """
    rest = copy.deepcopy(data)
    for detail in details:
        place = _entry(_place(detail, data), detail["type"], data)
        parent = rest
        for part in place[:-1]:
            parent = parent[part]
            if parent is _GONE:
                break
        if place and parent is not _GONE:
            parent[place[-1]] = _GONE
    return _swept(rest)


def _entry(place: Location, kind: str, data: Any) -> Location:
    """What to leave out for one complaint: an unknown key, a section in a list, a list of numbers, or a value."""
    if kind == "extra_forbidden":
        return place
    for depth, part in enumerate(place):
        if isinstance(data, list):
            return place[: depth + 1] if isinstance(data[int(part)], dict) else place[:depth]
        data = data[part] if _has(data, part) else None
    return () if kind == "missing" else place


def _swept(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _swept(value) for key, value in data.items() if value is not _GONE}
    if isinstance(data, list):
        return [_swept(value) for value in data if value is not _GONE]
    return data


def _keys(model: type[BaseModel], place: Location) -> list[str]:
    """Keys of the section at a place."""
    for part in place:
        if isinstance(part, int):
            continue
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        inner = [] if field is None else _models(field.annotation)
        if not inner:
            return []
        model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The sections inside an annotation such as ``tuple[PvSpec, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]
