"""Drawn scenarios keep what was measured: days, correlations, the course of the sky."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtri

from admmflex.errors import InputError
from admmflex.export_limits.clearness import fit_clearness
from admmflex.export_limits.generate import Generator, Homes, Season
from admmflex.export_limits.history import History, history, read_history

DAYS, STEPS, COUNT = 364, 24, 4000
CORRELATION = np.array([[1.0, 0.7, -0.4], [0.7, 1.0, 0.0], [-0.4, 0.0, 1.0]])  # two households and the sky


def measured(seed: int = 0) -> History:
    """A year whose daily energies and weather have known rank correlations."""
    rng = np.random.default_rng(seed)
    level = rng.standard_normal((DAYS, 3)) @ np.linalg.cholesky(CORRELATION).T
    shape = rng.lognormal(0.0, 0.4, (2, DAYS, STEPS))
    load = shape / shape.sum(axis=2, keepdims=True) * np.exp(0.4 * level[:, :2].T)[:, :, None]
    clear = np.maximum(np.sin(np.linspace(-0.4, np.pi + 0.4, STEPS)), 0.0)
    drift = rng.standard_normal((DAYS, STEPS)).cumsum(axis=1) * 0.1
    kappa = 1.0 / (1.0 + np.exp(-(level[:, 2:] + drift)))
    return History(("A", "B"), load, 0.2 * load, 0.9 * clear * kappa, datetime(2023, 1, 1))


@pytest.fixture(scope="module")
def made(drawn):
    customers, _ = drawn(0)
    homes = Homes(np.arange(customers.n) % 2, np.linspace(1.0, 3.0, customers.n))
    generator = Generator(customers, measured(), 5, Season(1, 366, near_days=40), homes)
    return generator, generator.scenarios(COUNT)


def ranks(x):
    return x.argsort(axis=0).argsort(axis=0)


def test_energies_keep_their_correlations_with_each_other_and_the_sky(made):
    generator, found = made
    owner = int(np.argmax(generator.customers.rating_kw))
    energy = np.column_stack([found.load_p[:, :2].sum(axis=2), found.avail[:, owner].sum(axis=1)])
    kept = np.corrcoef(ranks(energy).T)
    source = generator.history
    real = np.corrcoef(ranks(np.column_stack([source.load_p.sum(axis=2).T, source.sun.sum(axis=1)])).T)
    assert_allclose(kept, real, atol=0.06)


def test_every_day_is_a_measured_day_of_its_profile_near_the_date(made):
    generator, found = made
    for i, (profile, size) in enumerate(
        zip(generator.used_homes.profile[:4], generator.used_homes.size[:4], strict=True)
    ):
        days = found.load_p[:50, i] / size
        source = generator.history.load_p[profile]
        assert np.abs(days[:, None] - source).max(axis=2).min(axis=1).max() < 1e-12
    assert_allclose(found.load_q, 0.2 * found.load_p)


def test_weather_is_common_to_all(made):
    generator, found = made
    rating = generator.customers.rating_kw
    assert_allclose(found.avail, rating[:, None] * (found.avail[:, :1] / rating[0]))


def test_days_of_the_sun_have_the_measured_distribution(made):
    generator, found = made
    drawn_days = found.avail[:, 0] / generator.customers.rating_kw[0]
    real = generator.history.sun
    at = [5, 25, 50, 75, 95]
    assert_allclose(np.percentile(drawn_days.sum(1), at), np.percentile(real.sum(1), at), atol=0.06 * real.sum(1).max())
    noon = STEPS // 2
    assert_allclose(np.percentile(drawn_days[:, noon], at), np.percentile(real[:, noon], at), atol=0.06)


def test_sampled_sky_has_the_fitted_autocovariance_and_the_wanted_means():
    sky = fit_clearness(measured().sun, np.arange(DAYS))
    rng = np.random.default_rng(3)
    day, wanted = np.full(20000, 180), rng.standard_normal(20000)
    light = np.flatnonzero(sky.by_day[180])
    ratio = sky.sample(day, wanted, rng)[:, light] / sky.envelope[180, light]
    rank = [np.searchsorted(sky.quantiles, ratio - sign * 1e-9, side) for sign, side in ((1, "left"), (-1, "right"))]
    z = ndtri(np.clip(np.mean(rank, axis=0) / len(sky.quantiles), 1e-4, 1 - 1e-4))  # the clear hours share one rank
    lags = np.arange(1, len(light))
    found = [(z[:, :-h] * z[:, h:]).mean() for h in lags]
    assert_allclose(found, sky.level + sky.drift * sky.phi**lags, atol=0.05)
    assert np.corrcoef(z.mean(axis=1), wanted)[0, 1] > 0.99


def test_more_scenarios_keep_the_first_and_a_seed_repeats(made):
    generator, found = made
    assert_array_equal(generator.scenarios(3).load_p, found.load_p[:3])
    assert_array_equal(generator.scenarios(2, first=3).avail, found.avail[3:5])
    other = Generator(generator.customers, generator.history, 6, generator.season, generator.homes)
    assert np.abs(other.scenarios(3).avail - found.avail[:3]).max() > 0.01


def test_season_over_the_new_year(made):
    generator, _ = made
    winter = Generator(generator.customers, generator.history, 0, Season(340, 20))
    assert len(winter.dates) == 364 - 339 + 20


def test_own_table_is_the_history_that_it_holds(tmp_path):
    source = measured()
    time = pd.date_range("2023-01-01", periods=3 * STEPS, freq="h")
    columns = {f"{name}_pload": source.load_p[c, :3].ravel() for c, name in enumerate(source.household)}
    columns |= {"A_qload": source.load_q[0, :3].ravel(), "sun": source.sun[:3].ravel()}
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"own.{suffix}"
        table = pd.DataFrame({"time": time, **columns})
        table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
        found = read_history(path, "2023-01-01", 3, step_minutes=60)
        assert found.household == ("A", "B")
        assert_allclose(found.load_p, source.load_p[:, :3])
        assert_allclose(found.load_q, np.stack([source.load_q[0, :3], np.zeros((3, STEPS))]))
        assert_allclose(found.sun, source.sun[:3])


def test_faults_are_named_all_at_once(made):
    generator, _ = made
    with pytest.raises(InputError, match=r"sun = -1 on day 0(?s:.*)household 'A'"):
        history({"A_pload": np.full(24, np.nan)}, -np.ones(24), datetime(2023, 1, 1), 24)
    with pytest.raises(InputError, match="columns NAME_pload"):
        history({}, np.ones(24), datetime(2023, 1, 1), 24)
    n = generator.customers.n
    homes = Homes(np.full(n, 7), np.ones(n))
    with pytest.raises(InputError, match=r"days 400 to 2(?s:.*)oversizing = 0(?s:.*)profile 7"):
        Generator(generator.customers, generator.history, 0, Season(400, 2), homes, oversizing=0.0)
    with pytest.raises(InputError, match="0 measured days"):
        Generator(generator.customers, generator.history, 0, Season(366, 366))
