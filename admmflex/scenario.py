"""Scenarios: a YAML file, checked as a whole, and the study that is built from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from admmflex.data import document, study
from admmflex.data.export_spec import ExportSpec, asks_for_export_limits
from admmflex.data.spec import ScenarioSpec
from admmflex.data.study import Study
from admmflex.data.validation import check, check_export
from admmflex.errors import Fault, InputError, require

__all__ = ["Scenario", "Study", "build", "load", "schema"]


@dataclass(frozen=True)
class Scenario:
    """A scenario file that has the right form.

    Args:
        path: of the file; relative paths in it start at its folder.
        text: the file as it stands, kept with every result.
        spec: what it says; an ``ExportSpec`` with ``method: export-limits``.
    """

    path: Path
    text: str
    spec: ScenarioSpec | ExportSpec

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def folder(self) -> Path:
        return self.path.parent


def load(path: str | Path) -> Scenario:
    """Read a scenario file.

    A file that is not in form is searched for faults in its data as well, so that one run lists them all.

    Raises:
        InputError: every fault.
    """
    source = document.read(Path(path))
    if asks_for_export_limits(source.data):
        return Scenario(source.path, source.text, check_export(source))
    spec, faults = check(source)
    if faults and spec is not None:
        study.build(spec, source.path.parent, faults)
    require(study.merged(faults))
    assert spec is not None  # without faults there is a specification
    return Scenario(source.path, source.text, spec)


def build(scenario: Scenario) -> Study:
    """The data of a scenario: network, limits, steps and prosumers.

    Raises:
        InputError: every fault of the data; a scenario of export limits, which has no prosumers to agree with.
    """
    if isinstance(scenario.spec, ExportSpec):
        fault = Fault(f"scenario {scenario.name!r}", "method = export-limits", "another method", "run it with run")
        raise InputError(fault)
    return study.build(scenario.spec, scenario.folder)


def schema() -> dict[str, Any]:
    """JSON schema of scenario files."""
    return ScenarioSpec.model_json_schema(by_alias=True)
