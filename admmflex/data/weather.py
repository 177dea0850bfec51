"""Outdoor temperature and sun where the data of a study have none."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

import numpy as np

from admmflex.assets.checks import profile_faults
from admmflex.data.profiles import Resolver
from admmflex.data.section import Profile
from admmflex.data.spec import WeatherSpec
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, Horizon

MEAN_C, SEASON_K, DAY_K = 9.5, 9.5, 4.0
"""A typical year of Central Europe: mean, and half the swing between seasons and between day and night."""
COLDEST_DAY, WARMEST_HOUR = 20.0, 15.0
LOSSES = 0.14
"""Share that wiring, dirt and the inverter take: the usual figure of PVWatts."""
_PARTS = 4


class Weather:
    """The weather of a study: what is given is checked at once, the rest is computed when it is asked for.

    Args:
        profile: finds a given temperature and keeps its faults.
    """

    def __init__(self, spec: WeatherSpec, horizon: Horizon, profile: Resolver) -> None:
        self._spec, self._horizon = spec, horizon
        self._given = None if spec.outdoor_c is None else _checked(spec.outdoor_c, profile)

    @cached_property
    def outdoor_c(self) -> Array:
        """Outdoor temperature ``(K,)`` [degC]: as given, or that of a typical year."""
        return typical(self._horizon) + self._spec.warmer_k if self._given is None else self._given

    @property
    def notes(self) -> list[str]:
        """What a user should know about what was used."""
        if "outdoor_c" not in self.__dict__ or self._given is not None:
            return []
        return ["outdoor temperature is that of a typical year: give weather.outdoor_c for a real one"]

    @cached_property
    def sun(self) -> Array:
        """Power of PV under a clear sky ``(K,)`` [kW per kWp]; needs the place.

        Raises:
            InputError: no place given, or pvlib is not installed.
        """
        spec = self._spec
        if spec.latitude is None or spec.longitude is None:
            what = "profile = 'clear_sky' without a place"
            remedy = "add latitude and longitude to weather"
            raise InputError(Fault("adoption.pv", what, "latitude and longitude in weather", remedy))
        return clear_sky(spec, self._horizon, self.outdoor_c)


def _checked(given: Profile, profile: Resolver) -> Array:
    """The temperature of a scenario ``(K,)``; what is wrong with it is said here, once, and zeros stand in."""
    found = profile(given, "weather", "outdoor_c")
    faults = profile_faults("weather", "outdoor_c", found, profile.horizon)
    profile.faults += faults
    return np.zeros(profile.horizon.steps) if faults else found


def _middles(horizon: Horizon, parts: int) -> Array:
    """Middles of equal parts of every step, seconds since 1970, ``(K, parts)``."""
    begin = np.concatenate([[0.0], np.cumsum(horizon.dt_h)[:-1]])[:, None]
    hours = begin + horizon.dt_h[:, None] * (np.arange(parts) + 0.5) / parts
    seconds: Array = horizon.start.timestamp() + 3600.0 * hours
    return seconds


def typical(horizon: Horizon) -> Array:
    """Temperature of a typical year ``(K,)`` [degC], in the middle of each step and by local time.

    T = 9.5 - 9.5 cos(2 pi (day - 20) / 365.25) + 4 cos(2 pi (hour - 15) / 24)

    The round figures of a Central European lowland: 0 degC on 20 January, 19 degC in July, 8 K from night to day.
    """
    local = [datetime.fromtimestamp(second, tz=horizon.start.tzinfo) for second in _middles(horizon, 1)[:, 0]]
    day = np.array([time.timetuple().tm_yday for time in local])
    hour = np.array([time.hour + time.minute / 60.0 for time in local])
    season = np.cos(2.0 * np.pi * (day - COLDEST_DAY) / 365.25)
    result: Array = MEAN_C - SEASON_K * season + DAY_K * np.cos(2.0 * np.pi * (hour - WARMEST_HOUR) / 24.0)
    return result


def clear_sky(spec: WeatherSpec, horizon: Horizon, outdoor_c: Array) -> Array:
    """Power of a tilted plant under a clear sky ``(K,)`` [kW per kWp], the mean over each step.

    Irradiance of Ineichen and Perez on the tilted plane, cell temperature of Faiman, -0.4 %/K, 14 % losses.

    Raises:
        InputError: pvlib is not installed.
    """
    try:
        import pvlib
    except ImportError as error:
        remedy = "pip install 'admmflex[weather]', or name a profile"
        raise InputError(
            Fault("adoption.pv", "profile = 'clear_sky' needs pvlib", "pvlib installed", remedy)
        ) from error
    import pandas as pd

    times = pd.to_datetime(_middles(horizon, _PARTS).ravel(), unit="s", utc=True)
    place = pvlib.location.Location(spec.latitude, spec.longitude, tz="UTC")
    position, sky = place.get_solarposition(times), place.get_clearsky(times, model="ineichen")
    plane = pvlib.irradiance.get_total_irradiance(
        spec.tilt, spec.azimuth, position["apparent_zenith"], position["azimuth"], sky["dni"], sky["ghi"], sky["dhi"]
    )["poa_global"].fillna(0.0)
    cell = pvlib.temperature.faiman(plane, np.repeat(outdoor_c, _PARTS))
    power = (1.0 - LOSSES) * pvlib.pvsystem.pvwatts_dc(plane, cell, 1.0, -0.004).to_numpy()
    mean: Array = np.clip(power, 0.0, 1.0).reshape(horizon.steps, _PARTS).mean(axis=1)
    return mean
