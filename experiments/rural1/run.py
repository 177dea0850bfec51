"""rural1 by prices and centrally: ``python -m experiments.rural1.run``."""

from __future__ import annotations

from experiments.compare import show

DAYS = ("rural1/check", "rural1/worst", "rural1/idle")

if __name__ == "__main__":
    show(DAYS)
