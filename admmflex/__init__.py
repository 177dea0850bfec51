"""A grid operator and prosumers agree on powers that a low-voltage grid can carry.

>>> scenario = admmflex.load("experiments/rural1/check.yaml")
>>> result = admmflex.run(scenario)
>>> result.dataset["v_pu"]

Injections are positive everywhere; powers in kW and kvar, energies in kWh, prices in EUR/kWh and EUR/kvarh.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load", "run"]

if TYPE_CHECKING:
    from admmflex.run import run
    from admmflex.scenario import load

_HOME = {"load": "admmflex.scenario", "run": "admmflex.run"}


def __getattr__(name: str) -> Any:
    """Import what a study needs on first use, so that ``import admmflex`` and ``admmflex --help`` stay quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'admmflex' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


class _Package(ModuleType):
    """Keeps ``admmflex.run`` the function: importing the module of that name would put the module there."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.run if name == "run" and isinstance(value, ModuleType) else value)


sys.modules[__name__].__class__ = _Package
