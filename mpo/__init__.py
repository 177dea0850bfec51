"""Explicit solutions of multiparametric linear and quadratic programs; knows nothing of power systems."""
