"""Prices per step from a tariff."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from admmflex.data.prosumer_spec import BandSpec, TariffSpec
from admmflex.errors import Fault, InputError, require
from admmflex.horizon import Array, Horizon

_DAY = 24 * 60


def prices(tariff: TariffSpec, horizon: Horizon, element: str = "tariff") -> tuple[Array, Array]:
    """Import and export price of every step, ``(K,)`` each [EUR/kWh]; bands count in local wall-clock time.

    Raises:
        InputError: a list as long as something else than the horizon or not finite, bands that overlap or leave a gap,
            a step that lies across the limit of a band, an import price below the export price.
    """
    faults: list[Fault] = []
    both = [
        _base(value, horizon, f"{element}.{key}", faults)
        for key, value in (("import", tariff.import_price), ("export", tariff.export_price))
    ]
    if tariff.bands:
        _apply_bands(tariff.bands, both, horizon, element, faults)
    require(faults)
    imp, exp = both
    if (imp < exp).any():
        step = int((imp < exp).argmax())
        raise InputError(
            Fault(
                element,
                f"import price {imp[step]:g} below export price {exp[step]:g} EUR/kWh at {horizon.label(step)}",
                "import >= export in every step",
                "correct the tariff: buying and selling at once would earn money without limit",
            )
        )
    for array in both:
        array.flags.writeable = False
    return imp, exp


def free(horizon: Horizon) -> tuple[Array, Array]:
    """Prices of zero, to look for further faults when the tariff has one."""
    return np.zeros(horizon.steps), np.zeros(horizon.steps)


def _base(value: float | list[float] | None, horizon: Horizon, element: str, faults: list[Fault]) -> Array:
    """The price without bands; NaN where only a band can say."""
    if value is None:
        return np.full(horizon.steps, np.nan)
    array = np.asarray(value, dtype=np.float64)
    if array.ndim and len(array) != horizon.steps:
        faults.append(
            Fault(element, f"{len(array)} prices", f"{horizon.steps}, one per step", "give one number or one per step")
        )
        return np.zeros(horizon.steps)
    if not np.isfinite(array).all():
        faults.append(Fault(element, "a price that is not finite", "finite numbers [EUR/kWh]", "correct the price"))
        return np.zeros(horizon.steps)
    return np.array(np.broadcast_to(array, (horizon.steps,)))


def _minute(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _apply_bands(
    bands: tuple[BandSpec, ...], both: list[Array], horizon: Horizon, element: str, faults: list[Fault]
) -> None:
    """Write the prices of the bands over the base prices."""
    owner = np.full(_DAY, -1)
    for number, band in enumerate(bands):
        start, end = _minute(band.start), _minute(band.end)
        minutes = np.arange(start, end if end > start else end + _DAY) % _DAY
        taken = owner[minutes]
        if (taken >= 0).any():
            other = int(taken[taken >= 0][0])
            faults.append(
                Fault(
                    f"{element}.bands[{number}]",
                    f"{band.start}-{band.end} overlaps {bands[other].start}-{bands[other].end}",
                    "bands that do not overlap",
                    "move from or to",
                )
            )
        owner[minutes] = number
    local = _local_minutes(horizon)
    of_step = owner[local.astype(np.int64) % _DAY]
    faults.extend(_band_faults(owner, of_step, local, both, horizon, element))
    for price, field in zip(both, ("import_price", "export_price"), strict=True):
        values = np.array([getattr(band, field) for band in bands])
        inside = of_step >= 0
        price[inside] = values[of_step[inside]]


def _local_minutes(horizon: Horizon) -> Array:
    """Wall-clock minute of the day at which each step begins, ``(K,)``."""
    zone = horizon.start.tzinfo
    seconds = horizon.times_utc.astype(np.int64)
    local = [datetime.fromtimestamp(int(second), tz=zone) for second in seconds]
    return np.array([time.hour * 60 + time.minute + time.second / 60 for time in local])


def _band_faults(
    owner: Array, of_step: Array, local: Array, both: list[Array], horizon: Horizon, element: str
) -> list[Fault]:
    """A step without a price, or with two."""
    found = []
    bare = (of_step < 0) & np.isnan(both[0])
    if bare.any():
        found.append(
            Fault(
                f"{element}.bands",
                f"no price at {horizon.label(int(bare.argmax()))}, {int(bare.sum())} steps in all",
                "bands that cover the day, or import and export beside them",
                "add a band or import and export",
            )
        )
    length = horizon.dt_h * 60
    last = np.ceil(local + length - 1e-9) - 1  # the last minute that the step meets
    changes = np.concatenate([[0], np.cumsum(owner != np.roll(owner, 1))])
    begin, end = local.astype(np.int64), np.minimum(last, local + 2 * _DAY).astype(np.int64)
    turns, per_day = changes[1:], changes[-1]
    count = turns[end % _DAY] + per_day * (end // _DAY) - turns[begin % _DAY] - per_day * (begin // _DAY)
    across = count > 0
    if across.any():
        step = int(across.argmax())
        found.append(
            Fault(
                f"{element}.bands",
                f"the step of {length[step]:g} minutes from {horizon.label(step)} lies across the limit of a band",
                "steps with one price",
                "choose shorter steps or other limits",
            )
        )
    return found
