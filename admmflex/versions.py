"""Versions of what computes a result."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("admmflex", "numpy", "scipy", "numba", "osqp", "cvxpy", "clarabel", "highspy", "pandapower", "xarray")


def versions() -> dict[str, str]:
    """Version by package name, of those that are installed, and of Python."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
