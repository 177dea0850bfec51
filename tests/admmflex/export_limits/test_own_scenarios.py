"""Scenarios written as a table come back as they were; what is wrong with a table is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from admmflex.errors import InputError
from admmflex.export_limits.own_scenarios import read_scenarios


@pytest.fixture
def table(drawn):
    customers, scenarios = drawn(0)
    s, i, k = (x.ravel() for x in np.indices(scenarios.shape))
    values = {name: getattr(scenarios, name).ravel() for name in ("load_p", "load_q", "avail")}
    names = [customers.name[j] for j in i]
    return customers, scenarios, pd.DataFrame({"scenario": s + 10, "step": k, "customer": names, **values})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_in_any_order_is_the_scenarios(table, tmp_path, suffix):
    customers, scenarios, rows = table
    path, mixed = tmp_path / f"own.{suffix}", rows.sample(frac=1.0, random_state=0)
    mixed.to_csv(path, index=False) if suffix == "csv" else mixed.to_parquet(path)
    found = read_scenarios(path, customers, dt_h=0.5, start="2016-06-01")
    for name in ("load_p", "load_q", "avail"):
        assert_allclose(getattr(found, name), getattr(scenarios, name), rtol=1e-14)  # pandas reads to the last digit
    assert (found.dt_h, found.start) == (0.5, "2016-06-01")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="avail"), "no column 'avail'"),
        (lambda t: t.replace("home 3", "home x"), "customer 'home x'"),
        (lambda t: t.drop(index=[5, 7]), r"step 5, customer 'home 0': 0 rows(?s:.*)step 7, customer 'home 0': 0 rows"),
        (lambda t: pd.concat([t, t[:1]]), "scenario 10, step 0, customer 'home 0': 2 rows"),
        (lambda t: t.assign(load_p=t.load_p.where(t.step != 2)), r"load_p = nan(?s:.*)step 2"),
        (lambda t: t.assign(avail="much"), "column 'avail' has values that are no numbers"),
        (lambda t: t[:0], "has no rows"),
    ],
)
def test_what_is_wrong_is_named(table, tmp_path, change, said):
    customers, _, rows = table
    path = tmp_path / "own.csv"
    change(rows).to_csv(path, index=False)
    with pytest.raises(InputError, match=said):
        read_scenarios(path, customers)
