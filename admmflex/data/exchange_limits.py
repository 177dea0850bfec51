"""Limits of the connection with the upstream grid, from a scenario."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from admmflex.assets import Unmet
from admmflex.data.islands import typical_load
from admmflex.data.profiles import Resolver
from admmflex.data.section import Profile
from admmflex.data.spec import ConnectionSpec
from admmflex.errors import Fault, require
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.prosumer import Prosumer
from grid import Connection, Network

UNMET = "grid connection"
_WHERE = "limits.connection"


def connection(spec: ConnectionSpec, prosumers: Sequence[Prosumer], profile: Resolver) -> Connection:
    """The limits step by step.

    Raises:
        InputError: profiles of another length or not finite, limits that exclude each other.
    """
    horizon = profile.horizon
    none = np.full(horizon.steps, np.inf)
    found = {name: none if value is None else _profile(value, name, profile) for name, value in _given(spec).items()}
    require(profile.faults)
    low, high = -found["export_kw"], found["import_kw"]
    if spec.p_kw is not None:
        low, high = np.maximum(low, found["p_kw"] - spec.band_kw), np.minimum(high, found["p_kw"] + spec.band_kw)
    q_low, q_high = -found["export_kvar"], found["import_kvar"]
    for least, most, what in ((low, high, "kW"), (q_low, q_high, "kvar")):
        crossing = least > most
        if crossing.any():
            step = int(crossing.argmax())
            value = f"at least {least[step]:g} and at most {most[step]:g} {what} drawn at {horizon.label(step)}"
            remedy = "correct the limits: drawn is positive, -export <= p <= import"
            profile.faults.append(Fault(_WHERE, value, "limits that leave room", remedy))
    require(profile.faults)
    return Connection(low, high, q_low, q_high, typical_load(prosumers, horizon))


def unmet(spec: ConnectionSpec, limits: Connection, network: Network, horizon: Horizon) -> Prosumer | None:
    """Who fills the gap between the limits and what is possible, at its price; None where they are strict."""
    if spec.unmet_price is None:
        return None
    asked = np.abs([limits.p_min, limits.p_max])
    largest = float(asked[np.isfinite(asked)].max(initial=0.0)) + 10.0 * float(limits.base_kw.max())
    nothing = np.zeros(horizon.steps)
    return Prosumer(UNMET, int(network.buses[0]), (Unmet("unmet", largest, spec.unmet_price),), nothing, nothing)


def _given(spec: ConnectionSpec) -> dict[str, Profile | None]:
    names = ("import_kw", "export_kw", "p_kw", "import_kvar", "export_kvar")
    return {name: getattr(spec, name) for name in names}


def _profile(value: Profile, key: str, profile: Resolver) -> Array:
    """``(K,)``; a list of another length or with gaps is a fault."""
    found = profile(value, _WHERE, key)
    if found.shape != (profile.horizon.steps,) or not np.isfinite(found).all():
        allowed = f"{profile.horizon.steps} finite numbers, one per step"
        profile.faults.append(Fault(_WHERE, f"{key} with {found.size} numbers", allowed, "correct the profile"))
        return np.zeros(profile.horizon.steps)
    return found
