"""The known word that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """``", did you mean 'rho'?"``, or nothing when no known word is close."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean {found[0]!r}?" if found else ""
