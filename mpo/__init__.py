"""Explicit solutions of multiparametric linear and quadratic programs: an optimisation library that knows nothing of power systems."""
