"""Who gets PV and batteries: shares are exact, draws repeat, and more of one thing moves nothing else."""

from typing import Any

import numpy as np
import pytest

from admmflex.data.adoption import Draw, draw
from admmflex.data.spec import AdoptionSpec

BUSES = np.repeat(np.arange(3, 103), np.random.default_rng(1).integers(1, 4, 100))
PROFILES = ("PV1", "PV3", "PV4")


def drawn(share: float = 0.8, battery: float = 0.5, of: str = "buses", seed: int = 0, kwp: Any = 10.0) -> Draw:
    spec = AdoptionSpec.model_validate(
        {"pv": {"share": share, "of": of, "kwp": kwp}, "battery": {"share_of_pv": battery, "kwh": 10, "kw": 5}}
    )
    return draw(spec, BUSES, PROFILES, seed)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("battery", [0.0, 0.5, 1.0])
def test_shares_are_exact_and_no_bus_has_two_plants(share: float, battery: float) -> None:
    found = drawn(share, battery)
    assert len(found.owners) == len(found.kwp) == len(found.profile) == round(share * 100)
    assert len(np.unique(BUSES[found.owners])) == len(found.owners)
    assert len(found.has_battery) == round(battery * len(found.owners))
    assert len(drawn(share, of="prosumers").owners) == round(share * len(BUSES))


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    first, again, other = drawn(seed=7), drawn(seed=7), drawn(seed=8)
    np.testing.assert_array_equal(first.owners, again.owners)
    assert first.profile == again.profile
    assert set(first.owners) != set(other.owners)


@pytest.mark.parametrize("of", ["buses", "prosumers"])
def test_a_larger_share_keeps_the_plants_of_a_smaller_one(of: str) -> None:
    small, large = drawn(0.3, of=of, kwp=(5, 15)), drawn(0.6, of=of, kwp=(5, 15))
    of_large = {owner: (kwp, name) for owner, kwp, name in zip(large.owners, large.kwp, large.profile, strict=True)}
    for owner, kwp, name in zip(small.owners, small.kwp, small.profile, strict=True):
        assert of_large[owner] == (kwp, name)


def test_batteries_move_no_plant_and_more_batteries_keep_the_others() -> None:
    few, many = drawn(battery=0.2), drawn(battery=0.7)
    np.testing.assert_array_equal(few.owners, many.owners)
    assert few.profile == many.profile
    assert set(few.has_battery) <= set(many.has_battery)


def test_sizes_and_profiles_are_spread() -> None:
    found = drawn(1.0, kwp=(5, 15))
    assert found.kwp.min() >= 5
    assert found.kwp.max() <= 15
    assert found.kwp.std() > 2
    assert set(found.profile) == set(PROFILES)
