"""Ctrl-C and SIGTERM as a request: a coordination ends its round and keeps its state; asked twice, it stops at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While entered, the first signal is noted if somebody is ``listening``; any other raises KeyboardInterrupt.

    Only the main thread may enter; in others nothing is handled.
    """

    def __init__(self) -> None:
        self.listening = False
        self._noted = False
        self._before: dict[signal.Signals, Any] = {}

    def asked(self) -> bool:
        """Whether a signal was noted."""
        return self._noted

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._handle) for one in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._noted or not self.listening:
            raise KeyboardInterrupt
        self._noted = True
        os.write(2, b"stopping after this round; once more to stop at once\n")  # print is not safe in a handler
