"""Which devices of a study are under suspicion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.data.nearest import nearest
from admmflex.data.spec import CompromisedSpec
from admmflex.errors import Fault
from admmflex.prosumers.prosumer import Prosumer

_DRAW = 7  # tells this draw from others with the same seed


@dataclass(frozen=True)
class Suspects:
    """Devices that may be compromised.

    Args:
        devices: position of the owner in the study, and of the device among its assets; ascending.
        budget: how many may misbehave at once.
        detection_h: how long that may go unnoticed [h].
    """

    devices: tuple[tuple[int, int], ...]
    budget: int
    detection_h: float


def suspects(spec: CompromisedSpec, prosumers: Sequence[Prosumer], seed: int) -> tuple[Suspects, list[Fault]]:
    """The devices that a scenario suspects, and what is wrong with its section."""
    able = {
        f"{one.name}/{asset.name}": (i, j)
        for i, one in enumerate(prosumers)
        for j, asset in enumerate(one.assets)
        if asset.kind in spec.kinds
    }
    faults = _unknown("list", spec.listed, list(able), "device of these kinds")
    faults += _unknown("prosumers", spec.prosumers, [one.name for one in prosumers], "prosumer")
    owners = set(spec.prosumers)
    drawn = [place for place in able.values() if not owners or prosumers[place[0]].name in owners]
    if spec.listed and not (spec.prosumers or spec.share is not None):
        drawn = []
    elif spec.share is not None:
        count = round(spec.share * len(drawn))
        picked = np.random.default_rng([_DRAW, seed]).permutation(len(drawn))[:count]
        drawn = [drawn[place] for place in picked]
    found = sorted({*drawn, *(able[name] for name in spec.listed if name in able)})
    if not found and not faults:
        faults.append(
            Fault("compromised", "no device of the study", "at least one", "correct kinds, prosumers, share or list")
        )
    if found and spec.budget > len(found):
        allowed = f"0 to {len(found)}, the devices under suspicion"
        faults.append(Fault("compromised", f"budget = {spec.budget}", allowed, "lower budget"))
    return Suspects(tuple(found), spec.budget, spec.detection_h), faults


def _unknown(key: str, given: Sequence[str], known: Sequence[str], what: str) -> list[Fault]:
    return [
        Fault(f"compromised.{key}", f"no {what} {name!r}", f"a name of the study{nearest(name, known)}", "correct it")
        for name in given
        if name not in known
    ]
