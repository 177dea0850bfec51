"""Nothing in the packages runs what a file holds, or reaches for the network."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("admmflex", "grid", "mpo") for path in (ROOT / package).rglob("*.py"))
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
NETWORK = {"socket", "ssl", "http", "urllib", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "webbrowser"}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "read_pickle",
    "to_pickle",
    "unsafe_load",
    "full_load",
    "system",
    "popen",
}
YAML_LOADERS = {"load", "load_all", "unsafe_load_all", "full_load_all"}


def faults(source: str) -> list[str]:
    """Imports and calls that are not allowed, by line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [one.name.split(".")[0] for one in node.names if one.name.split(".")[0] in UNSAFE | NETWORK]
        elif isinstance(node, ast.ImportFrom):
            names = [part for part in [(node.module or "").split(".")[0]] if part in UNSAFE | NETWORK]
        elif isinstance(node, ast.Call):
            names = [name for name in [_called(node)] if name]
        found += [f"line {node.lineno}: {name}" for name in names]
    return found


def _called(node: ast.Call) -> str | None:
    """The name of a call that runs what it is given."""
    of = node.func.value.id if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else ""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    given = {one.arg: one.value for one in node.keywords}
    off = isinstance(given.get("allow_pickle"), ast.Constant) and given["allow_pickle"].value is False  # type: ignore[union-attr]
    if name in CALLS and of != "re":
        return name
    if of == "yaml" and name in YAML_LOADERS:
        return f"yaml.{name}"
    if of in ("np", "numpy") and name in ("load", "save") and not off:
        return f"{name} with pickle"
    if "shell" in given:
        return "shell"
    return None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_runs_what_it_reads_or_knows_the_network(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from urllib.request import urlopen", "import http.client as c", "eval(text)", "np.load(path)",
        "numpy.load(path, allow_pickle=True)", "yaml.load(text, Loader=x)", "pd.read_pickle(path)", "os.system(line)",
        "subprocess.run(line, shell=True)",
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_found(line: str) -> None:
    assert len(faults(line)) == 1
    assert faults("re.compile('a')\nnp.load(path, allow_pickle=False)\nyaml.dump(data)\nimport h5py") == []


WATCHED = """
import sys

def watch(event, arguments):
    if event.startswith(("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostby", "socket.sendto")):
        raise SystemExit(f"network: {event} {arguments}")
    if event in ("urllib.Request", "http.client.connect", "webbrowser.open"):
        raise SystemExit(f"network: {event} {arguments}")

sys.addaudithook(watch)
if sys.argv[1:] == ["probe"]:
    import socket
    socket.create_connection(("localhost", 9))
from admmflex.cli import main
out = sys.argv[1]
for line in (
    ["validate", "experiments/hand/day.yaml"],
    ["run", "experiments/hand/day.yaml", "--out", f"{out}/day", "--quiet"],
    ["run", "experiments/hand/day.yaml", "--out", f"{out}/central", "--quiet", "--method", "central"],
    ["report", f"{out}/day"],
    ["compare", f"{out}/day", f"{out}/central", "--out", f"{out}/comparison.html"],
    *(["export", f"{out}/day", "--to", form, "--out", f"{out}/{form}"] for form in ("csv", "pandapower", "openadr")),
):
    sys.argv[1:] = line
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise SystemExit(f"{line}: {end.code}")
print("quiet")
"""


def _watched(argument: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WATCHED, argument]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=240)


def test_no_command_reaches_for_the_network(tmp_path: Path) -> None:
    """Validate, run, report, compare and export with every way into the network closed."""
    done = _watched(str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("quiet\n")


def test_a_way_into_the_network_would_be_seen() -> None:
    done = _watched("probe")
    assert done.returncode != 0
    assert "network: socket.getaddrinfo" in done.stderr


HOSTS = re.compile(
    "|".join(["pypi" + r"\.org", "python" + r"hosted\.", "ana" + r"conda\.", "npm" + r"js\."]), re.IGNORECASE
)
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".lock", ".txt", ".cff", ".html", ".ipynb", ""}
MADE = {
    ".venv",
    ".git",
    ".pytest_cache",
    ".ruff_cache",
    ".mypy_cache",
    ".hypothesis",
    "results",
    "build",
    "dist",
    "site",
}


def test_no_file_names_a_registry() -> None:
    named = []
    for path in ROOT.rglob("*"):
        inside = not MADE & set(path.relative_to(ROOT).parts) and "__pycache__" not in path.parts
        if inside and path.suffix in TEXT and path.is_file() and HOSTS.search(path.read_text("utf-8", "ignore")):
            named.append(path.relative_to(ROOT).as_posix())
    assert named == []
