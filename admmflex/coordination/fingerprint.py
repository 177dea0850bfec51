"""Fingerprints of inputs, part by part, so that a checkpoint tells whether it belongs to a day and what differs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel


class _Sink(Protocol):
    def update(self, data: bytes, /) -> None: ...


def fingerprint(whole: Any) -> dict[str, str]:
    """Hash of every field of a study but its notes.

    Prosumers written in cvxpy count by name, bus and tariff: what they model cannot be told.
    """
    found = {}
    for name in (one.name for one in fields(whole) if one.name != "notes"):
        sink = hashlib.sha256()
        _feed(sink, getattr(whole, name))
        found[name] = sink.hexdigest()
    return found


def _feed(sink: _Sink, value: Any) -> None:
    """What a value is made of, in one order: arrays, mappings, sequences, records, and whatever prints itself."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        sink.update(f"{value.dtype}{value.shape}".encode())
        sink.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, BaseModel):
        sink.update(value.model_dump_json().encode())
    elif is_dataclass(value):
        sink.update(type(value).__name__.encode())
        for one in fields(value):
            _feed(sink, getattr(value, one.name))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            sink.update(str(key).encode())
            _feed(sink, one)
    elif isinstance(value, list | tuple | np.ndarray):
        sink.update(f"{len(value)}:".encode())
        for one in value:
            _feed(sink, one)
    elif value is None or isinstance(value, str | int | float | complex | bool | np.generic | date):
        sink.update(f"{value!r};".encode())
    else:
        named = [getattr(value, name, None) for name in ("name", "bus", "import_price", "export_price")]
        _feed(sink, [type(value).__name__, *named])
