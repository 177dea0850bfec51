"""The DSO's step: limits of the grid as rows, and the projection on them."""

from admmflex.dso.dso import AcCheck, Dso

__all__ = ["AcCheck", "Dso"]
