"""Copies of a region: drawn the same by whoever draws them, coordinated and checked one by one, and never twice."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from admmflex import scenario
from admmflex.comm import SerialComm
from admmflex.prosumers.chain_homes import ChainHomes, Field
from admmflex.response.chain import ChainResponse
from experiments.million import run
from experiments.million.run import REGION, Line, coordinate, read, share
from experiments.million.streets import KWH, KWP, Adoption, Template, copy, template

FEW = Adoption(0.3, 0.6)


@pytest.fixture(scope="module")
def region() -> Template:
    return template(scenario.build(scenario.load(REGION)))


def homes(one: Template, number: int, seed: int = 1) -> list[ChainHomes]:
    found = []
    for member in copy(one, seed, number, FEW)[0]:
        response = member.community.population.responses[0]
        assert isinstance(response, ChainResponse)
        found.append(response.homes)
    return found


def test_a_copy_is_the_same_whoever_draws_it_and_no_two_are_alike(region: Template) -> None:
    first, again, other = homes(region, 3), homes(region, 3), homes(region, 4)
    for one, same in zip(first, again, strict=True):
        assert_array_equal(one.index, same.index)
        assert_array_equal(one.table, same.table)
    apart = [not np.array_equal(one.index, two.index) for one, two in zip(first, other, strict=True) if len(one) > 20]
    assert all(apart)


def test_devices_are_those_that_were_drawn(region: Template) -> None:
    drawn = homes(region, 0)
    sunny = np.concatenate([one.profile(Field.AVAIL).max(axis=1) for one in drawn]) / region.sun.max()
    stores = np.concatenate([one.profile(Field.E_MAX).max(axis=1) for one in drawn])
    assert set(np.round(np.unique(sunny), 9)) == {0.0, *KWP}
    assert set(np.unique(stores)) == {0.0, *KWH}
    assert FEW.least < (sunny > 0).mean() < FEW.most
    assert not ((stores > 0) & (sunny == 0)).any()
    assert abs((stores[sunny > 0] > 0).mean() - FEW.battery) < 0.05


def test_a_copy_is_coordinated_within_its_limits_at_a_proven_cost(region: Template) -> None:
    line = coordinate(region, 0, 1, FEW)
    assert line.status == "optimal"
    assert line.prosumers == 7031
    assert max(line.over_pu, line.under_pu) <= 1e-4
    assert line.over_loading <= 1e-3
    assert line.bound_eur <= line.cost_eur <= line.bound_eur + 1e-3 * abs(line.cost_eur)


def test_what_was_done_is_not_done_again(region: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def quick(one: Template, number: int, seed: int, adoption: Adoption) -> Line:
        calls.append(number)
        return Line(number, "optimal", 1, 1, 0, 0, 1, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    monkeypatch.setattr(run, "coordinate", quick)
    share(region, [0, 2], tmp_path, 1, FEW, SerialComm())
    with (tmp_path / "rank1.jsonl").open("w") as file:
        file.write(json.dumps(asdict(quick(region, 1, 1, FEW))) + "\n")
        file.write('{"copy": 5, "sta')
    assert [line.copy for line in read(tmp_path)] == [0, 1, 2]
