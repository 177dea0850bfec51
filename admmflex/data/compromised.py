"""Which devices of a study are under suspicion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from admmflex.data.nearest import nearest
from admmflex.data.trouble_spec import CompromisedSpec, Controllable
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
    devices = [(i, j, asset) for i, one in enumerate(prosumers) for j, asset in enumerate(one.assets)]
    able = [(i, j) for i, j, asset in devices if asset.kind in spec.kinds]
    called: dict[str, list[tuple[int, int]]] = {}
    for i, j, asset in devices:
        if asset.kind in get_args(Controllable):
            for name in (asset.kind, asset.name):
                called.setdefault(f"{prosumers[i].name}/{name}", []).append((i, j))
    faults = _unknown("list", spec.listed, list(called), "controllable device")
    faults += _unknown("prosumers", spec.prosumers, [one.name for one in prosumers], "prosumer")
    owners = set(spec.prosumers)
    drawn = [place for place in able if not owners or prosumers[place[0]].name in owners]
    if spec.listed and not (spec.prosumers or spec.share is not None):
        drawn = []
    elif spec.share is not None:
        count = round(spec.share * len(drawn))
        picked = np.random.default_rng([_DRAW, seed]).permutation(len(drawn))[:count]
        drawn = [drawn[place] for place in picked]
    found = sorted({*drawn, *(place for name in spec.listed for place in called.get(name, []))})
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
