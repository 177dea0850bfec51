"""Mistakes that make no difference, by module and ``Mutant.name``, and why."""

from __future__ import annotations

ROOM, APART = "only room", "numbers have to be distinct, and still are"
FINE = "a search ends a little later or earlier, far within what a plan may exceed"

EQUIVALENT: dict[str, dict[str, str]] = {
    "admmflex/money.py": {
        "curtailed_shares: shares = np.clip((offered - given) / np.where(sunny, offered, 2.0), 0.0, 1.0)": "without "
        "sun the share is NaN in the end",
    },
    "admmflex/coordination/proof.py": {
        "Proving.of_plan: if bound_eur <= mix.cost and (not proves(bound_eur, mix.cost, self.settings)):": "a bound "
        "that equals the cost proves it",
    },
    "grid/limits.py": {
        "Limits.functional: bus_a, bus_b = (np.ones(size, dtype=np.int64), np.zeros(size, dtype=np.int64))": "rows of "
        "the slack have no effect at buses",
        "Limits.functional: bus_a, bus_b = (np.zeros(size, dtype=np.int64), np.ones(size, dtype=np.int64))": "the same",
        "Limits.functional: limit = np.where(sign >= 0, self.network.v_max[at], self.network.v_min[at])": "signs are "
        "1 or -1",
        "Limits._branch_rows: u = np.where(load == 0, 1.0, load / np.where(load == 1, 1.0, np.abs(load))) "
        "if direction is None else direction": "0/0 is not taken",
        "Limits._branch_rows: u = np.where(load == 0, 1.0, load / np.where(load == 0, 2.0, np.abs(load))) "
        "if direction is None else direction": "0/2 is not taken",
    },
    "admmflex/dso/rows.py": {
        "module: ANGLE_BUCKETS = 1025": FINE,
        "module: VOLTAGE_TOLERANCE = 2e-07": FINE,
        "module: LOADING_TOLERANCE = 2e-06": FINE,
        "module: CONNECTION_TOLERANCE = 2e-06": FINE,
        "feeder_groups: n_feeders = int(grid.feeder.max(initial=1)) + 2": "groups without a member",
        "feeder_groups: n_feeders = int(grid.feeder.max(initial=-2)) + 2": "every grid has a bus, of feeder -1 or more",
        "feeder_groups: end_feeder = np.maximum(grid.feeder[limits.from_bus], grid.feeder[limits.to_bus])": "no branch "
        "joins two feeders; above them the larger label counts",
        "feeder_groups: end_feeder = np.where(end_feeder <= 0, np.maximum(grid.feeder[limits.from_bus], "
        "grid.feeder[limits.to_bus]), end_feeder)": "no branch joins two feeders",
        "feeder_groups: end_feeder = np.where(end_feeder < 1, np.maximum(grid.feeder[limits.from_bus], "
        "grid.feeder[limits.to_bus]), end_feeder)": "no branch joins two feeders",
        "feeder_groups: label = np.where(trunk, n_feeders + limits.branch, end_feeder - 1)": APART,
        "row_keys: return ((step * KINDS + kind) * index_of + index) * ANGLE_BUCKETS - "
        "np.where(kind == BRANCH, bucket, 0)": APART,
        "row_keys: return ((step * KINDS + kind) * index_of - index) * ANGLE_BUCKETS + "
        "np.where(kind == BRANCH, bucket, 0)": APART,
        "row_keys: return ((step * KINDS - kind) * index_of + index) * ANGLE_BUCKETS + "
        "np.where(kind == BRANCH, bucket, 0)": APART,
        "row_keys: return ((step * KINDS + kind) * index_of + index) * ANGLE_BUCKETS + "
        "np.where(kind == BRANCH, bucket, 1)": APART,
        "_empty_int: return np.ones(0, np.int64)": "empty",
        "Rows.__post_init__: self.gradient = np.ones((0, 2 * len(self.buses)))": "empty",
        "Rows.__post_init__: self._scratch = np.empty((3, 0, self.limits.network.n))": ROOM,
        "Rows.__post_init__: self._scratch = np.empty((2, 1, self.limits.network.n))": ROOM,
        "Rows.add_violated: self._insert(dict(zip(_COLUMNS, added, strict=False)))": "as many columns as values",
        "Rows._linearised: if len(self._scratch[0]) <= size:": ROOM,
        "Rows._linearised: if len(self._scratch[1]) < size:": ROOM,
        "Rows._linearised: self._scratch = np.empty((2, size + size * 2, self.limits.network.n))": ROOM,
        "Rows._linearised: self._scratch = np.empty((2, size + size // 3, self.limits.network.n))": ROOM,
    },
}
