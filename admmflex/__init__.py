"""A grid operator and prosumers agree on powers that a low-voltage grid can carry.

>>> scenario = admmflex.load("experiments/rural1/check.yaml")
>>> result = admmflex.run(scenario)
>>> result.dataset["v_pu"]

Injections are positive everywhere; powers in kW and kvar, energies in kWh, prices in EUR/kWh and EUR/kvarh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load", "run"]

if TYPE_CHECKING:
    from admmflex.run import run
    from admmflex.scenario import load


def __getattr__(name: str) -> Any:
    """Import what a study needs on first use, so that ``import admmflex`` and ``admmflex --help`` stay quick."""
    if name not in ("load", "run"):
        raise AttributeError(f"module 'admmflex' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module("admmflex.scenario" if name == "load" else "admmflex.run"), name)
    globals()[name] = found
    return found
