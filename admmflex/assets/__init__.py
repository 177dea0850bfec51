"""Assets: one file each, all in the form of ``admmflex.assets.flow``."""

from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Asset, Flow, Store
from admmflex.assets.pv import Pv

__all__ = ["Asset", "Battery", "FixedLoad", "Flow", "Pv", "Store"]
