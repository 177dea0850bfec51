"""Assets: one file each, all in the form of ``admmflex.assets.flow``."""

from admmflex.assets.battery import Battery
from admmflex.assets.boiler import Boiler
from admmflex.assets.deferrable import Deferrable, Task
from admmflex.assets.ev import ElectricVehicle, Session
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Asset, Flow, Relaxable, Store
from admmflex.assets.generator import Generator
from admmflex.assets.heat_pump import HeatPump, cop
from admmflex.assets.held import Held
from admmflex.assets.pv import Pv
from admmflex.assets.sheddable_load import SheddableLoad
from admmflex.assets.shortfall import Shortfall
from admmflex.assets.unmet import Unmet

__all__ = [
    "Asset",
    "Battery",
    "Boiler",
    "Deferrable",
    "ElectricVehicle",
    "FixedLoad",
    "Flow",
    "Generator",
    "HeatPump",
    "Held",
    "Pv",
    "Relaxable",
    "Session",
    "SheddableLoad",
    "Shortfall",
    "Store",
    "Task",
    "Unmet",
    "cop",
]
