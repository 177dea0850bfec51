"""Equations in docstrings are blocks of code on the pages, so that their lines and spaces stay."""

from __future__ import annotations

import re
from typing import Any

import griffe

RELATION = re.compile(r"(^|\s)(=|<=|>=|<-|->|in|s\.t\.)\s")
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Source|Note|Example)s?:")


def is_equation(paragraph: str) -> bool:
    """Lines with a relation in the first of them, none of which is a sentence."""
    lines = paragraph.strip("\n").splitlines()
    sentence = any(re.search(r"[.:;]$", line) or re.match(r"[A-Z][a-z]+ [a-z]+ [a-z]+", line.strip()) for line in lines)
    return bool(RELATION.search(lines[0])) and not sentence


def with_blocks(text: str) -> str:
    """The text of a docstring with its equations indented, up to its first section."""
    parts = re.split(r"\n[ ]*\n", text)
    for i, part in enumerate(parts):
        if SECTION.match(part):
            break
        if i and not part.startswith("    ") and is_equation(part):
            parts[i] = "\n".join(f"    {line}" for line in part.splitlines())
    return "\n\n".join(parts)


class Equations(griffe.Extension):
    """Applied to every docstring that is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_blocks(obj.docstring.value)
