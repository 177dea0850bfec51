"""Checkpoints on disk: parts written by the ranks, then a head that names them with their hashes.

    DIR/round-000012.0.npz, round-000012.1.npz   arrays of ranks 0 and 1
    DIR/round-000012.head                        hash of what follows, and JSON: contents, parts and their hashes

Every file is written beside its place, synced and renamed. A checkpoint exists from the moment its head does, and the
one before is removed only after that: whenever a run is cut off, the newest head whose hashes agree is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
FORMAT = 1
HASH_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Head:
    """What a checkpoint says of itself.

    Args:
        round: after which it was written.
        parts: hash of every rank's file.
        content: whatever JSON can hold.
    """

    round: int
    parts: tuple[str, ...]
    content: dict[str, Any]


def part_path(folder: Path, number: int, rank: int) -> Path:
    """The file of one rank's arrays."""
    return folder / f"round-{number:06d}.{rank}.npz"


def head_path(folder: Path, number: int) -> Path:
    """The file that completes a checkpoint."""
    return folder / f"round-{number:06d}.head"


def write_part(folder: Path, number: int, rank: int, arrays: Arrays) -> bytes:
    """Write a rank's arrays; their hash.

    Raises:
        OSError: they cannot be written; nothing is left of them.
    """
    path = part_path(folder, number, rank)

    def write(file: BinaryIO) -> None:
        np.savez(file, allow_pickle=False, **dict(arrays))

    _durably(path, write)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def write_head(folder: Path, number: int, parts: Sequence[bytes], content: Mapping[str, Any]) -> None:
    """Complete a checkpoint whose parts are written, and remove all but it and the one before.

    Raises:
        OSError: it cannot be written; the checkpoint before stays the newest.
    """
    told = {"format": FORMAT, "round": number, "parts": [one.hex() for one in parts], "content": content}
    text = json.dumps(told).encode()
    _durably(
        head_path(folder, number), lambda file: file.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    )
    for old in sorted(_rounds(folder))[:-2]:
        remove(folder, old)


def newest(folder: Path) -> tuple[Head | None, list[str]]:
    """The newest whole checkpoint, and what is wrong with newer ones."""
    wrong: list[str] = []
    for number in sorted(_rounds(folder), reverse=True):
        try:
            return _verified(folder, number), wrong
        except (OSError, ValueError, KeyError, TypeError) as error:
            wrong.append(f"{head_path(folder, number)}: {error}")
    return None, wrong


def read_head(folder: Path, number: int) -> Head:
    """The head of a checkpoint that is known to be whole.

    Raises:
        ValueError: it is not, or it is of another format.
    """
    written, _, text = head_path(folder, number).read_bytes().partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != written:
        raise ValueError("content differs from its hash")
    told = json.loads(text)
    if told["format"] != FORMAT:
        raise ValueError(f"format {told['format']}, this version reads {FORMAT}")
    return Head(number, tuple(told["parts"]), told["content"])


def remove(folder: Path, number: int) -> None:
    """Remove a checkpoint, its head first, so that no head is ever without its parts."""
    head_path(folder, number).unlink(missing_ok=True)
    for part in folder.glob(f"round-{number:06d}.*"):
        part.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove all checkpoints, what a cut-off left unfinished included, and the folder."""
    for number in _rounds(folder):
        remove(folder, number)
    for rest in [*folder.glob("round-*.npz"), *folder.glob(".round-*")]:
        rest.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _rounds(folder: Path) -> list[int]:
    return [int(path.stem.removeprefix("round-")) for path in folder.glob("round-*.head")]


def _verified(folder: Path, number: int) -> Head:
    """A checkpoint whose hashes agree.

    Raises:
        ValueError: they do not, or it is of another format.
    """
    head = read_head(folder, number)
    for rank, expected in enumerate(head.parts):
        part = part_path(folder, number, rank)
        with part.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise ValueError(f"{part.name} differs from its hash")
    return head


def _durably(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write beside the path, sync, rename, and sync the folder; on an error nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
