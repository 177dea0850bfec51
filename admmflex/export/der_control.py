"""A plan as IEEE 2030.5 DERControls with the limits of CSIP-AUS at the connection point.

    opModExpLimW = max(p, 0),   opModImpLimW = max(-p, 0)        [W], p the planned injection

so that a home does what it planned in the planned direction, at most, and nothing in the other. Steps with the same
limits are one control. A home that hears nothing falls back on its DefaultDERControl. What meets the limits of the grid
is the plan: homes that take less than planned while others feed in as planned may still break one.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.errors import Fault, InputError
from admmflex.results import complete

if TYPE_CHECKING:
    import xarray as xr

REMEDY = "pip install 'admmflex[csip]'"
_NAMESPACE = uuid.UUID("7c1f0f3e-8a52-5b0e-9d0c-2c5e6e1d3a41")
_LARGEST = 32767  # of an int16 value; beyond it the multiplier grows
_SCHEDULED = 0


@dataclass(frozen=True)
class Fallback:
    """What a home may do that hears nothing: powers at its connection [kW]; None leaves a direction free."""

    export_kw: float = 0.0
    import_kw: float | None = None


def controls(data: xr.Dataset, prosumer: int, created: int) -> Any:
    """The DERControlList of one home.

    Args:
        data: of a result with a plan.
        prosumer: position along dimension ``prosumer``.
        created: POSIX time of creation.
    """
    from envoy_schema.server.schema.sep2 import der, event, types

    p = data["p_kw"].to_numpy()[prosumer]
    start = data["time"].to_numpy().astype("datetime64[s]").astype(np.int64)
    length = np.rint(data["dt_h"].to_numpy() * 3600.0).astype(np.int64)
    name, origin = str(data["prosumer"].to_numpy()[prosumer]), str(data.attrs.get("name", ""))
    status = {"currentStatus": _SCHEDULED, "dateTime": created, "potentiallySuperseded": False}
    found = []
    for first, last in _runs(p):
        limits = {"opModExpLimW": _watts(max(p[first], 0.0)), "opModImpLimW": _watts(max(-p[first], 0.0))}
        found.append(
            der.DERControlResponse(
                mRID=_identity(origin, name, str(start[first])),
                description=f"plan of {name}"[:32],
                creationTime=created,
                EventStatus_=event.EventStatus(**status),
                interval=types.DateTimeIntervalType(
                    start=int(start[first]), duration=int(start[last] + length[last] - start[first])
                ),
                DERControlBase_=der.DERControlBase(**limits),
            )
        )
    return der.DERControlListResponse(all_=len(found), results=len(found), DERControl=found)


def default(data: xr.Dataset, prosumer: int, fallback: Fallback) -> Any:
    """The DefaultDERControl of one home, for lost communication."""
    from envoy_schema.server.schema.sep2 import der

    name, origin = str(data["prosumer"].to_numpy()[prosumer]), str(data.attrs.get("name", ""))
    limits = {"opModExpLimW": _watts(fallback.export_kw)}
    if fallback.import_kw is not None:
        limits["opModImpLimW"] = _watts(fallback.import_kw)
    return der.DefaultDERControl(
        mRID=_identity(origin, name, "default"),
        description="without communication",
        DERControlBase_=der.DERControlBase(**limits),
    )


def write(data: xr.Dataset, folder: Path, created: int, fallback: Fallback) -> list[Path]:
    """Write ``NNNN_controls.xml`` and ``NNNN_default.xml`` for every home, and ``homes.csv`` that names them.

    Raises:
        InputError: no plan, or envoy-schema is not installed.
    """
    try:
        import envoy_schema  # noqa: F401
    except ImportError as error:
        raise InputError(Fault("--to csip-aus", "envoy-schema is not installed", "envoy-schema", REMEDY)) from error
    if "p_kw" not in data:
        raise InputError(Fault("result", "has no plan", "a result with powers", "see its status"))
    folder.mkdir(parents=True, exist_ok=True)
    written, listed = [], ["file,prosumer,bus"]
    for row, name in enumerate(data["prosumer"].to_numpy()):
        for kind, content in (("controls", controls(data, row, created)), ("default", default(data, row, fallback))):
            target = folder / f"{row:04d}_{kind}.xml"
            with complete(target) as path:
                path.write_bytes(content.to_xml(skip_empty=True, encoding="UTF-8", xml_declaration=True))
            written.append(target)
        quoted = '"' + str(name).replace('"', '""') + '"'
        listed.append(f"{row:04d}_controls.xml,{quoted},{int(data['prosumer_bus'][row])}")
    with complete(folder / "homes.csv") as path:
        path.write_text("\n".join(listed) + "\n", encoding="utf-8")
    return [*written, folder / "homes.csv"]


def _runs(p: Any) -> list[tuple[int, int]]:
    """First and last step of every stretch with the same limits, to the watt."""
    watts = np.rint(1e3 * p)
    ends = np.flatnonzero(np.diff(watts, append=np.inf))
    return list(zip([0, *(ends[:-1] + 1).tolist()], ends.tolist(), strict=True))


def _watts(kw: float) -> Any:
    """Power as value times ten to the multiplier, rounded to the nearest watt, or to what 16 bits hold."""
    from envoy_schema.server.schema.sep2.der_control_types import ActivePower

    watts = 1e3 * kw
    multiplier = max(0, math.ceil(math.log10(watts / _LARGEST))) if watts > _LARGEST else 0
    return ActivePower(value=round(watts / 10**multiplier), multiplier=multiplier)


def _identity(*parts: str) -> str:
    """The same name for the same control, whenever it is written."""
    return uuid.uuid5(_NAMESPACE, "\n".join(parts)).hex.upper()
