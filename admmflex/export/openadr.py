"""Prices of a result as OpenADR 3.1 events.

One program, and one event for every bus and tariff, targeted at its homes by name:

    PRICE = import tariff + lam_p,   EXPORT_PRICE = export tariff + lam_p        [EUR/kWh]

Reactive energy has no payload type in OpenADR and is left out. Prices settle a plan; they do not make it: at the same
prices a home has other answers that are as good for it, and worse for the grid.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.errors import Fault, InputError
from admmflex.money import positions
from admmflex.results import complete

if TYPE_CHECKING:
    import xarray as xr

DIGITS = 6
PAYLOADS = (("PRICE", "import_price"), ("EXPORT_PRICE", "export_price"))


def document(data: xr.Dataset) -> dict[str, Any]:
    """``program`` and ``events``, ready for the programs and events of a VTN; ``programID`` is the program's name.

    Raises:
        InputError: the result has no prices.
    """
    if "price_p" not in data:
        raise InputError(Fault("result", "has no prices", "a result with prices", "see its status"))
    name = str(data.attrs.get("name") or "admmflex")
    described = [
        {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": kind, "units": "KWH", "currency": "EUR"}
        for kind, _ in PAYLOADS
    ]
    program = {"objectType": "PROGRAM", "programName": name, "payloadDescriptors": described}
    period, own = _periods(data)
    grid = data["price_p"].to_numpy()[positions(data)]
    prices = {kind: np.round(data[tariff].to_numpy() + grid, DIGITS) for kind, tariff in PAYLOADS}
    events = []
    for rows in _groups(data, prices):
        first, bus = rows[0], int(data["prosumer_bus"][rows[0]])
        intervals = [
            {"id": k, **({"intervalPeriod": own[k]} if own else {}), "payloads": _payloads(prices, first, k)}
            for k in range(data.sizes["time"])
        ]
        events.append(
            {
                "objectType": "EVENT",
                "programID": name,
                "eventName": f"bus {bus}, {len(rows)} homes",
                "targets": [str(data["prosumer"].to_numpy()[row]) for row in rows],
                "payloadDescriptors": described,
                "intervalPeriod": period,
                "intervals": intervals,
            }
        )
    return {"program": program, "events": events}


def write(data: xr.Dataset, target: Path) -> Path:
    """Write the document as JSON."""
    text = json.dumps(document(data), allow_nan=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    with complete(target) as path:
        path.write_text(text + "\n", encoding="utf-8")
    return target


def _payloads(prices: dict[str, Any], row: int, step: int) -> list[dict[str, Any]]:
    return [{"type": kind, "values": [float(values[row, step])]} for kind, values in prices.items()]


def _groups(data: xr.Dataset, prices: dict[str, Any]) -> list[list[int]]:
    """Homes of the same bus with the same prices."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for row, bus in enumerate(data["prosumer_bus"].to_numpy().tolist()):
        key = (bus, *(values[row].tobytes() for values in prices.values()))
        found.setdefault(key, []).append(row)
    return list(found.values())


def _periods(data: xr.Dataset) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The period of an event, and those of its intervals; none when all are as long as the event's says."""
    starts = [f"{moment}Z" for moment in np.datetime_as_string(data["time"].to_numpy(), unit="s")]
    seconds = np.rint(3600.0 * data["dt_h"].to_numpy()).astype(int)
    periods = [{"start": start, "duration": f"PT{length}S"} for start, length in zip(starts, seconds, strict=True)]
    return periods[0], [] if (seconds == seconds[0]).all() else periods
