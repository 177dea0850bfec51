"""How the coordination of a region scales over ranks: ``python -m experiments.scaling.run``."""
