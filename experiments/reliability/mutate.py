"""Small mistakes in the functions and constants of a module, one at a time.

Comparisons at and across their boundary, sums for differences, products for quotients, numbers off by one or twice as
large, conditions the other way round, the smaller for the larger, a conjugate or an absolute value left out, a
statement left out. Messages, annotations and defaults of dataclasses stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
COMBINED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMED = {"maximum": "minimum", "max": "min", "argmax": "argmin", "nanargmax": "nanargmin", "nanmax": "nanmin"}
NAMED |= {"any": "all", "zeros": "ones", "zeros_like": "ones_like", "real": "imag"}
NAMED |= {other: name for name, other in NAMED.items()}
LEFT_OUT = ("conj", "abs", "isfinite", "sort", "copy", "round")


@dataclass(frozen=True)
class Mutant:
    """One mistake: its name is the function and the statement (of a block, the first line) as they are with it."""

    name: str
    line: int
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """All mistakes in a module's text."""
    tree = ast.parse(source)
    for function, statement, node, change in _places(tree):
        line, whole = node.lineno, _first_line(statement)
        undo = change()
        after = _first_line(statement)
        yield Mutant(
            f"{function}: {'without ' + whole if after == 'pass' else after}",
            line,
            ast.fix_missing_locations(deepcopy(tree)),
        )
        undo()


Change = Callable[[], Callable[[], None]]


def _first_line(statement: ast.stmt) -> str:
    return ast.unparse(statement).splitlines()[0]


def _places(tree: ast.Module) -> Iterator[tuple[str, ast.stmt, ast.expr | ast.stmt, Change]]:
    """Function, statement, part of it, and what changes the part and gives what changes it back."""
    for function, body in _bodies(tree, ""):
        for one in body:
            for statement, node in _inside(one):
                for change in _changes(node):
                    yield function, statement, node, change


def _bodies(node: ast.Module | ast.ClassDef, within: str) -> Iterator[tuple[str, list[ast.stmt]]]:
    """The constants of a module, then what its functions do."""
    if isinstance(node, ast.Module):
        constants = [one for one in node.body if isinstance(one, ast.Assign | ast.AugAssign)]
        yield "module", list(constants)
    for one in node.body:
        if isinstance(one, ast.FunctionDef):
            first = isinstance(one.body[0], ast.Expr) and isinstance(one.body[0].value, ast.Constant)
            yield f"{within}{one.name}", one.body[first:]
        elif isinstance(one, ast.ClassDef):
            yield from _bodies(one, f"{within}{one.name}.")


def _inside(statement: ast.stmt) -> Iterator[tuple[ast.stmt, ast.expr | ast.stmt]]:
    """A statement and what is in it, each with the smallest statement around it; no annotations, no messages."""
    if isinstance(statement, ast.Assert | ast.Raise | ast.Import | ast.ImportFrom):
        return
    yield statement, statement
    for field, value in ast.iter_fields(statement):
        if field != "annotation":
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.stmt):
                    yield from _inside(child)
                elif isinstance(child, ast.AST):
                    yield from ((statement, one) for one in _expressions(child))


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.JoinedStr):
        return
    if isinstance(node, ast.expr):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _expressions(child)


def _changes(node: ast.expr | ast.stmt) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=[op]):
            yield from (_setting(node, ops=[other()]) for other in COMPARED[type(op)])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in COMBINED:
            yield _setting(node, op=COMBINED[type(op)]())
        case ast.BoolOp(op=op):
            yield _setting(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(
            test, ast.Compare | ast.UnaryOp
        ):
            yield _setting(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield _becoming(node, operand)
        case ast.Constant(value=bool(value)):
            yield _setting(node, value=not value)
        case ast.Constant(value=int(value)):
            yield _setting(node, value=value + 1)
        case ast.Constant(value=float(value)):
            yield _setting(node, value=2.0 * value or 1.0)
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=[first, *_]) if name in LEFT_OUT:
            yield _becoming(node, first)
        case ast.Attribute(attr=name) if name in NAMED:
            yield _setting(node, attr=NAMED[name])
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMED:
            yield _setting(node, id=NAMED[name])
    if isinstance(node, ast.AugAssign | ast.Expr) or (isinstance(node, ast.Assign) and not _first_of_name(node)):
        yield _becoming(node, ast.Pass())


def _first_of_name(node: ast.Assign) -> bool:
    """Whether the assignment makes a name, without which nothing runs."""
    return all(isinstance(one, ast.Name | ast.Tuple) for one in node.targets)


def _setting(node: ast.AST, **fields: object) -> Change:
    def change() -> Callable[[], None]:
        before = {name: getattr(node, name) for name in fields}
        vars(node).update(fields)
        return lambda: vars(node).update(before)

    return change


def _becoming(node: ast.AST, other: ast.AST) -> Change:
    def change() -> Callable[[], None]:
        kind, before = node.__class__, dict(vars(node))
        place = {name: before[name] for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")}
        node.__class__ = other.__class__
        vars(node).clear()
        vars(node).update(vars(other) | place)

        def undo() -> None:
            node.__class__ = kind
            vars(node).clear()
            vars(node).update(before)

        return undo

    return change
