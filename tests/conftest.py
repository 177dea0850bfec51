"""What all tests share: one thread for linear algebra, and a cache of networks that stays inside the checkout."""

import os

import pytest

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "cache"):
        os.environ.setdefault("ADMMFLEX_CACHE", str(config.cache.mkdir("networks")))
