"""rural3 by prices and centrally: ``python -m experiments.rural3.run``."""

from __future__ import annotations

from experiments.compare import show

DAYS = ("rural3/day",)

if __name__ == "__main__":
    show(DAYS)
