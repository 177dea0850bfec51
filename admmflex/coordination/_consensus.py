"""Kernels between prosumers (2, n, K) and buses (K, 2 B); prosumers are sorted by bus."""

import numba as nb


@nb.njit(cache=True, error_model="numpy")
def sum_by_bus(y, bus, n_buses, reach, out, beyond):  # type: ignore[no-untyped-def]
    """out[k, c B + b] = sum of y[c, i, k] over the prosumers i of bus b.

    ``beyond (n,)`` says whose y leaves reach[0, c, i] <= y[c, i, k] <= reach[1, c, i], or is no number.
    """
    out[:] = 0.0
    beyond[:] = False
    for c in range(2):
        for i in range(y.shape[1]):
            j = c * n_buses + bus[i]
            low = reach[0, c, i]
            high = reach[1, c, i]
            within = True
            for k in range(y.shape[2]):
                one = y[c, i, k]
                within &= (one >= low) & (one <= high)
                out[k, j] += one
            beyond[i] |= not within


@nb.njit(cache=True, error_model="numpy")
def take_share(y, z, flexible, shift, relaxation, bus, squares):  # type: ignore[no-untyped-def]
    """Every prosumer's share of what the grid can carry, in place.

    z_i <- relaxation y_i + (1 - relaxation) z_i + shift_b  where the prosumer can move, else y_i

    ``shift (2, B, K)`` is the bus deviation per flexible prosumer. Adds per bus b to ``squares (4, B)``:
    |y - z|^2, |z - z_before|^2, |y|^2, |z|^2.
    """
    for c in range(2):
        for i in range(y.shape[1]):
            b = bus[i]
            primal = 0.0
            dual = 0.0
            size_y = 0.0
            size_z = 0.0
            for k in range(y.shape[2]):
                before = z[c, i, k]
                after = y[c, i, k]
                if flexible[c, i, k]:
                    after = relaxation * after + (1.0 - relaxation) * before + shift[c, b, k]
                primal += (y[c, i, k] - after) ** 2
                dual += (after - before) ** 2
                size_y += y[c, i, k] ** 2
                size_z += after * after
                z[c, i, k] = after
            squares[0, b] += primal
            squares[1, b] += dual
            squares[2, b] += size_y
            squares[3, b] += size_z
