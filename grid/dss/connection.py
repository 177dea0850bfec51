"""Buses and nodes that OpenDSS elements are connected to."""

from __future__ import annotations

from dataclasses import dataclass

from grid.dss.properties import Properties

NODES = ("0", "1", "2", "3", "4")


@dataclass(frozen=True)
class Connection:
    """A bus and its conductors 0, 1, 2 (phases) that an element uses; neutral 3, or None for earth."""

    bus: str
    conductors: tuple[int, ...]
    neutral: int | None


def connection(given: Properties, name: str, phases: int, *, neutral: bool, text: str | None = None) -> Connection:
    """Bus and conductors of ``bus.1.2.3.4``; nodes count from 1 where none are given."""
    bus, *nodes = (given.text(name) if text is None else text).split(".")
    numbers = [int(node) if node in NODES else -1 for node in nodes] or list(range(1, min(phases, 5) + 1))
    if not bus or phases > 4 or min(numbers) < 0 or max(numbers) > 4:
        allowed = "bus.1.2.3, .4 for the neutral, .0 for earth"
        given.fault(f"{name} = {given.text(name) or 'missing'}", allowed, "correct the bus", given.where(name))
        return Connection(bus or "?", (0,), None)
    live, rest = numbers[:phases], numbers[phases:]
    fourth = rest[0] if rest else 0
    good = set(live) <= {1, 2, 3} and len(set(live)) == len(live) == phases and fourth in (0, 4)
    if neutral and not good:
        found = f"{name} = {given.text(name)} with {phases} phases"
        given.fault(found, "each phase once, then 4 or 0", "correct the nodes", given.where(name))
        return Connection(bus, (0,), None)
    return Connection(bus, tuple(node - 1 for node in live), 3 if fourth == 4 else None)
