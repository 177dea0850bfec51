"""Rounds and gap of the price coordination against its settings: ``python -m experiments.convergence``."""
