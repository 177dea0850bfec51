"""The DSO's step: limits of the grid as rows, and the projection on them."""

from admmflex.dso.area import AreaDso, Outside
from admmflex.dso.dso import AcCheck, Dso, Shares

__all__ = ["AcCheck", "AreaDso", "Dso", "Outside", "Shares"]
