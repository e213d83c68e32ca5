"""Formulas: an elementwise body called with symbols instead of numbers, differentiated, and printed as a function.

    @elementwise
    def silu(x): return x * gpugrad.sigmoid(x)

The decorated function is an op: arrays or Tensors of any shapes that broadcast. Its rules come from its formula unless
`silu.defvjp(x=...)` gives them. A body is made of arithmetic operators and elementwise gpugrad functions; it may take
keyword-only parameters, which are constants of the formula.

Expressions are hash-consed: equal ones are one object, so a formula is a graph in which nothing is computed twice. The
gradient is found by the same walk as a tensor's, with the same rules, since rules are made of ops and ops take symbols.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from .callpath import rule_names
from .op import SYMBOLIC, Op, op
from .ops.operators import OPERATORS

_counter = itertools.count()
_interned: WeakValueDictionary[Any, Expr] = WeakValueDictionary()


class Expr:
    """A number not yet known: a symbol, or an elementwise op of expressions and constants."""

    __slots__ = ("__weakref__", "args", "key", "name", "op", "order", "params")

    def __init__(
        self, key: Any, op: Op | None, args: tuple[Any, ...], name: str = "", params: dict[str, Any] | None = None
    ) -> None:
        self.key = key
        self.op = op
        self.args = args
        self.name = name
        self.params = params or {}
        self.order = next(_counter)  # an expression comes after its arguments

    def __bool__(self) -> bool:
        raise TypeError(
            "a formula cannot branch on a value: its elements may differ. Use gpugrad.where(condition, a, b), or "
            "gpugrad.maximum/minimum/clamp."
        )

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return self.name if self.op is None else f"{self.op.name}({', '.join(map(repr, self.args))})"


for _name, _function in OPERATORS.items():
    if not _name.startswith("__i") or _name == "__invert__":
        setattr(Expr, _name, _function)


def symbol(name: str) -> Expr:
    """A fresh symbol."""
    return Expr(None, None, (), name)


def apply(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """What a call of `op` with an expression among its arguments means; TypeError unless it is elementwise."""
    if not op.formula:
        raise TypeError(f"{op.name}() is not elementwise: it cannot be part of a formula")
    if op.cuda is None:
        return op.body(*args, **params)
    simpler = _simplify(op, args)
    if simpler is not None:
        return simpler
    parts = tuple(("expr", id(a)) if isinstance(a, Expr) else (type(a), a) for a in args)
    key = (op.name, parts, tuple(params.items()))
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Expr(key, op, args, params={**op.params, **params})
    return found


SYMBOLIC[Expr] = apply


def _simplify(op: Op, args: tuple[Any, ...]) -> Any:
    """`x * 1`, `x / 1`, `x + 0` and `x - 0` are `x`; nothing that could change a NaN or the sign of a zero."""
    if len(args) != 2:
        return None
    x, y = args
    if op.name == "mul" and type(x) in (int, float) and x == 1:
        return y
    if op.name in ("mul", "div") and type(y) in (int, float) and y == 1:
        return x
    return None


def trace(op: Op, params: dict[str, Any]) -> tuple[list[Expr], Any]:
    """The symbols of the inputs of `op`, and its formula in them."""
    symbols = [symbol(name) for name in op.inputs]
    out = op.body(*symbols, **params)
    return symbols, out


def reachable(out: Any) -> list[Expr]:
    """All expressions `out` is made of, arguments before what uses them."""
    stack, seen = [out] if isinstance(out, Expr) else [], {}
    while stack:
        e = stack.pop()
        if id(e) not in seen:
            seen[id(e)] = e
            stack.extend(a for a in e.args if isinstance(a, Expr))
    return sorted(seen.values(), key=lambda e: e.order)


def differentiate(out: Any, symbols: list[Expr], g: Expr) -> list[Any]:
    """The gradients of `out`, weighted by `g`, with respect to each symbol; 0.0 where it does not depend on it."""
    cotangents: dict[int, Any] = {id(out): g}
    for e in reversed(reachable(out)):
        weight = cotangents.get(id(e))
        if weight is None or e.op is None:
            continue
        for name, x in zip(e.op.inputs, e.args):
            rule = e.op.rules.get(name)
            if rule is None or not isinstance(x, Expr):
                continue
            values = {"g": weight, "out": e, **dict(zip(e.op.inputs, e.args))}
            positional, keywords = rule_names(rule)
            part = rule(*(values[n] for n in positional), **{n: e.params[n] for n in keywords})
            if part is not None:
                have = cotangents.get(id(x))
                cotangents[id(x)] = part if have is None else have + part
    return [cotangents.get(id(s), 0.0) for s in symbols]


def as_function(out: Any, names: list[str], arguments: list[Expr]) -> Callable[..., Any]:
    """A Python function of `arguments` that computes `out` with ops: on arrays, Tensors or further expressions."""
    scope: dict[str, Any] = {}
    known = {id(a): n for a, n in zip(arguments, names)}
    lines = [f"def formula({', '.join(names)}):"]
    for i, e in enumerate(reachable(out)):
        if e.op is None:
            continue
        parts = [known[id(a)] if isinstance(a, Expr) else repr(a) for a in e.args]
        given = ", ".join([*parts, *(f"{name}={value!r}" for name, value in e.params.items())])
        scope[f"op_{e.op.name}"] = e.op.function
        known[id(e)] = f"t{i}"
        lines.append(f"    t{i} = op_{e.op.name}({given})")
    lines.append(f"    return {known[id(out)] if isinstance(out, Expr) else repr(out)}")
    exec("\n".join(lines), scope)
    return scope["formula"]


def derive(op: Op) -> None:
    """Give `op`, a formula without rules, the rules that follow from its formula."""
    op.rules = {name: _derived_rule(op, i) for i, name in enumerate(op.inputs)}


def _derived_rule(op: Op, index: int) -> Callable[..., Any]:
    """The rule of one input. Formulas are traced once per set of parameters."""
    compiled: dict[Any, Callable[..., Any]] = {}
    names = ["g", *op.inputs]

    def rule(*values: Any, **params: Any) -> Any:
        key = tuple(params.values())
        if key not in compiled:
            symbols, out = trace(op, params)
            g = symbol("g")
            compiled[key] = as_function(differentiate(out, symbols, g)[index], names, [g, *symbols])
        return compiled[key](*values)

    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names]
    parameters += [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in op.params]
    rule.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return rule


def elementwise(body: Callable[..., Any]) -> Any:
    """Make an elementwise op of a formula; see the head of this file."""
    given = getattr(body, "__name__", "")
    name = given if given.isidentifier() else "elementwise"  # a lambda has none of its own
    return op(body, name=name, broadcasts=True, promotes=True, to_float=True, formula=True)
