"""An explicit solution as one C99 file without dependencies, for controllers that cannot run Python."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from mpo.arrays import Array, IntArray
from mpo.errors import Fault, InputError
from mpo.part import Part
from mpo.solution import Solution

_HEAD = """\
/* Explicit solution of a parametric program: {regions} regions, {k} parameters, {n} variables.
 *
 * int {name}(const double theta[{k}], int state[{parts}], double x[{n}], double *value)
 *
 * Returns 0 and writes the minimiser and its cost; returns -1 and writes nothing where there is no solution.
 * state: the regions of the last call, a first guess for the next; zeros at first.
 */
"""

_PART = """\
static int {name}_locate{i}(const double *t, int guess)
{{
    for (int s = -1; s < {R}; s++) {{
        int r = s < 0 ? guess : s, inside = 1;
        if (r < 0 || r >= {R}) continue;
        for (int e = {name}_start{i}[r]; inside && e < {name}_start{i}[r + 1]; e++) {{
            const double *row = {name}_rows{i} + {w}L * e;
            double v = row[{p}];
            for (int c = 0; c < {p}; c++) v += row[c] * t[c];
            inside = v >= -1e-9;
        }}
        if (inside) return r;
    }}
    return -1;
}}
"""

_LAW = """\
    {{
        double t[{p1}] = {{0}};
        for (int c = 0; c < {p}; c++) {{
            t[c] = {name}_shift{i}[c];
            for (int j = 0; j < {k}; j++) t[c] += {name}_L{i}[{k} * c + j] * theta[j];
        }}
        int r = {name}_locate{i}(t, state[{i}]);
        if (r < 0) return -1;
        state[{i}] = r;
        for (int a = 0; a < {u}; a++) {{
            const double *law = {name}_law{i} + {w}L * ({u}L * r + a);
            double v = law[{p}];
            for (int c = 0; c < {p}; c++) v += law[c] * t[c];
            for (int j = 0; j < {n}; j++) y[j] += {name}_V{i}[{u} * j + a] * v;
        }}
    }}
"""

_BODY = """\
int {name}(const double theta[{k}], int state[{parts}], double x[{n}], double *value)
{{
    double y[{n}], cost = 0.0;
    for (int r = 0; r < {rows}; r++) {{
        double v = -{name}_theta_b[r];
        for (int j = 0; j < {k}; j++) v += {name}_theta_A[{k} * r + j] * theta[j];
        if (!(v <= 1e-9 * (1.0 + ({name}_theta_b[r] < 0.0 ? -{name}_theta_b[r] : {name}_theta_b[r])))) return -1;
    }}
    for (int j = 0; j < {n}; j++) {{
        y[j] = {name}_x0[j];
        for (int c = 0; c < {k}; c++) y[j] += {name}_X[{k} * j + c] * theta[c];
    }}
{laws}    for (int j = 0; j < {n}; j++) {{
        double slope = {name}_c[j];
        for (int c = 0; c < {k}; c++) slope += {name}_C[{k} * j + c] * theta[c];
{quadratic}        cost += slope * y[j];
    }}
    for (int j = 0; j < {n}; j++) x[j] = y[j];
    *value = cost;
    return 0;
}}
"""

_QUADRATIC = "        for (int a = 0; a < {n}; a++) slope += 0.5 * {name}_Q[{n} * j + a] * y[a];\n"


def export_c(solution: Solution, path: str | os.PathLike[str], *, name: str = "mpo_evaluate") -> None:
    """Write ``int name(theta, state, x, value)``; the file says how to call it.

    Of each region only rows that can be negative somewhere in the parameter set are written. The search is the last
    region, then all of them in turn.

    Raises:
        InputError: a name that is no identifier in C, or a solution without regions.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise InputError([Fault("name", repr(name), "letters, digits and _", "choose an identifier in C")])
    if not len(solution):
        raise InputError([Fault("solution", f"status {solution.status!r}", "at least one region", "solve another one")])
    problem, n, k = solution.problem, solution.problem.variables, solution.problem.parameters
    about = {"name": name, "n": n, "k": k, "parts": max(1, len(solution.parts)), "regions": len(solution)}
    about["rows"] = len(solution.theta_b)
    chunks = [_HEAD.format(**about)]
    data = {"theta_A": solution.theta_A, "theta_b": solution.theta_b, "x0": solution.x0, "X": solution.X}
    data |= {"c": problem.c, "C": problem.C}
    quadratic = problem.hessian.any()
    data |= {"Q": problem.hessian} if quadratic else {}
    chunks += [_array(f"{name}_{label}", array) for label, array in data.items()]
    laws = ""
    for i, part in enumerate(solution.parts):
        text, law = _part(part, i, about)
        chunks.append(text)
        laws += law
    square = _QUADRATIC.format(**about) if quadratic else ""
    chunks.append(_BODY.format(**about, laws=laws, quadratic=square))
    Path(path).write_text("\n".join(chunks), encoding="ascii")


def _part(part: Part, i: int, about: dict[str, object]) -> tuple[str, str]:
    """Data and search of one part, and the code that adds its law."""
    start, rows = _needed(part)
    name, p, u = about["name"], len(part.shift), part.law.shape[1]
    numbers = {**about, "i": i, "p": p, "p1": max(p, 1), "w": p + 1, "u": u, "R": part.regions}
    data: dict[str, Array] = {"rows": rows, "law": part.law, "L": part.L, "shift": part.shift, "V": part.V}
    text = _integers(f"{name}_start{i}", start)
    text += "".join(_array(f"{name}_{label}{i}", array) for label, array in data.items())
    return text + "\n" + _PART.format(**numbers), _LAW.format(**numbers)


def _needed(part: Part) -> tuple[IntArray, Array]:
    """Rows of each region, of unit length, that are negative somewhere in [-1, 1]^p, and where each region begins."""
    rows = part.rows * part.map.inverse[:, :, None]
    least = rows[:, :, -1] - np.abs(rows[:, :, :-1]).sum(axis=2)
    kept = (part.map.inverse > 0.0) & (least < 0.0)
    return np.concatenate([[0], np.cumsum(kept.sum(axis=1))]), rows[kept]


def _array(label: str, values: Array) -> str:
    numbers = [repr(float(value)) for value in np.ravel(values)] or ["0.0"]
    return _block(f"static const double {label}[{len(numbers)}]", numbers, 5)


def _integers(label: str, values: IntArray) -> str:
    return _block(f"static const int {label}[{len(values)}]", [str(int(value)) for value in values], 15)


def _block(head: str, numbers: list[str], width: int) -> str:
    lines = [", ".join(numbers[at : at + width]) for at in range(0, len(numbers), width)]
    return head + " = {\n    " + ",\n    ".join(lines) + "};\n"
