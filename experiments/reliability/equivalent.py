"""Mistakes that no test can notice, by module and ``Mutant.name``, and why."""

from __future__ import annotations

EQUIVALENT: dict[str, dict[str, str]] = {}
