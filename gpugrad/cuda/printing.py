"""Formulas as CUDA C++: traced into expressions, typed as NumPy types them, printed as structs.

    struct Formula0 {  // silu
        static __device__ __forceinline__ Values<float> apply(float x0) {
            const float t1 = 1 / (1 + exp(-x0));
            const float t2 = multiply(t1, x0);
            return {static_cast<float>(t2), {}};
        }
    };

Every step has the dtype that its op's body gives NumPy arrays (float32 for half precision), so that integers wrap where
NumPy's do and nothing is computed in double that NumPy computes in float. Python numbers are weak, as they are to NumPy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..callpath import rule_names
from ..dtypes import LOW_PRECISION
from ..expr import Expr, reachable, symbol
from .module import cuda_name

Kind = Any  # of a value: a NumPy dtype, or bool, int or float for a Python number
_FLOAT32 = np.dtype(np.float32)
_BOOL = np.dtype(np.bool_)

# Registers and instructions an op takes, where they are many: copies of these are not laid side by side.
_LONG = {
    **dict.fromkeys(("sin", "cos", "tan", "pow", "fmod", "remainder", "floor_divide", "lgamma", "erfinv", "ndtri"), 16),
    **dict.fromkeys(("log_ndtr", "ndtr", "erfcx", "sinc", "gcd", "lcm", "div_trunc", "logaddexp2", "atan2"), 16),
    **dict.fromkeys(("digamma", "polygamma", "zeta", "i0", "i0e", "i1", "i1e"), 100),
}
_LONG_IN_DOUBLE = {
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sigmoid", "tanh", "erf", "erfc"), 8),
    **dict.fromkeys(("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "logaddexp", "entr"), 8),
    **_LONG,
}
_WORTH_ONE_LOAD, _WORTH_ONE_ELEMENT = 16, 64


class Formula:
    """Expressions of the same symbols. `outs` may hold symbols and numbers too. Compared by identity."""

    def __init__(self, name: str, symbols: Sequence[Expr], outs: Sequence[Any]) -> None:
        self.name, self.symbols, self.outs = name, tuple(symbols), tuple(outs)
        steps = {id(e): e for out in outs for e in reachable(out) if e.op is not None}
        self.steps = sorted(steps.values(), key=lambda e: e.order)

    def loads(self, double: bool) -> int:
        """How many loads of each input to have in flight."""
        return 1 if self._weight(_LONG_IN_DOUBLE if double else _LONG) >= _WORTH_ONE_LOAD else 4

    @functools.cached_property
    def takes_several(self) -> bool:
        """Whether to take several elements to a load."""
        return self._weight(_LONG) < _WORTH_ONE_ELEMENT

    def _weight(self, weights: dict[str, int]) -> int:
        return sum(weights.get(e.op.name, 1) for e in self.steps if e.op is not None)


@functools.cache
def forward_formula(op: Any, given: tuple[bool, ...], params: tuple[Any, ...]) -> Formula:
    """The formula of `op`, of those inputs that are given (the others are None)."""
    symbols = [symbol(f"x{i}") if there else None for i, there in enumerate(given)]
    named = dict(zip(op.params, params))
    out = Expr(None, op, tuple(symbols), params=named) if op.cuda is not None else op.body(*symbols, **named)
    return Formula(op.name, [s for s in symbols if s is not None], [out])


def backward_formula(
    op: Any, names: Sequence[str], absent: Sequence[str], wanted: Sequence[str], params: tuple[Any, ...]
) -> Formula:
    """The gradients for the inputs `wanted` of `op`, of the cotangent and the values `names` that rules have saved.

    `absent` names saved values that are None. TypeError or AttributeError if a rule is not a formula.
    """
    symbols = [symbol(name) for name in ("g", *names)]
    values: dict[str, Any] = {s.name: s for s in symbols} | dict.fromkeys(absent)
    named = dict(zip(op.params, params))
    outs = []
    for name in wanted:
        rule = op.rules[name]
        positional, keywords = rule_names(rule)
        outs.append(rule(*[values[p] for p in positional], **{k: named[k] for k in keywords}))
    return Formula(f"{op.name}_backward", symbols, outs)


# ---- types ----


def compute_dtype(kinds: Sequence[Kind]) -> Any:
    """The dtype numbers beside arrays of these kinds are arithmetic with: the arrays', none of bool unless all are."""
    arrays = [d for d in kinds if isinstance(d, np.dtype)]
    return _wide(next((d for d in arrays if d != _BOOL), arrays[0] if arrays else _FLOAT32))


def _wide(dtype: Any) -> Any:
    return _FLOAT32 if dtype in LOW_PRECISION else dtype


def number_dtype(compute: Any, kind: type) -> Any:
    """The dtype that a Python number of this type takes beside arrays of the dtype `compute`."""
    return _BOOL if kind is bool else np.result_type(compute, kind(0))


def _sample(kind: Kind) -> Any:
    return np.empty(0, kind) if isinstance(kind, np.dtype) else kind(1)


def _kinds(formula: Formula, kinds: Sequence[Kind]) -> dict[int, Kind]:
    """The kind of every symbol and step by id, found by running the bodies on arrays without elements."""
    found = {id(s): _wide(k) if isinstance(k, np.dtype) else k for s, k in zip(formula.symbols, kinds)}
    with np.errstate(all="ignore"):
        for e in formula.steps:
            assert e.op is not None
            parts = [_sample(found[id(a)]) if isinstance(a, Expr) else a for a in e.args]
            made = e.op.body(*parts, **e.params)
            weak = not any(isinstance(p, np.ndarray) for p in parts)
            found[id(e)] = type(np.asarray(made).item()) if weak else _wide(made.dtype)
    return found


def _operand_dtype(e: Expr, kinds: dict[int, Kind], compute: Any) -> Any:
    """The dtype that the inputs of a step are promoted to."""
    assert e.op is not None
    taken = [a for a, name in zip(e.args, e.op.inputs) if name in e.op.promotes] or list(e.args)
    parts = [kinds[id(a)] if isinstance(a, Expr) else type(a) for a in taken if a is not None]
    if all(not isinstance(p, np.dtype) for p in parts):
        return functools.reduce(np.promote_types, [number_dtype(compute, p) for p in parts])
    made = kinds[id(e)]
    if e.op.to_float and isinstance(made, np.dtype):
        return made
    return _wide(np.result_type(*[p if isinstance(p, np.dtype) else p(0) for p in parts]))


# ---- printing ----


def print_formula(name: str, formula: Formula, kinds: Sequence[Kind], made: Sequence[Any]) -> str:
    """The struct `name` of a formula, of inputs of these kinds; `made` are the dtypes of the outputs."""
    compute = compute_dtype(kinds)
    storage = cuda_name(next((d for d in kinds if isinstance(d, np.dtype) and d != _BOOL), compute))
    found = _kinds(formula, kinds)

    def type_of(kind: Kind) -> str:
        return cuda_name(kind if isinstance(kind, np.dtype) else number_dtype(compute, kind))

    names = {id(s): f"x{i}" for i, s in enumerate(formula.symbols)}

    def operand(value: Any, dtype: Any) -> str:
        if not isinstance(value, Expr):
            return literal(value, cuda_name(dtype))
        have, wanted = type_of(found[id(value)]), cuda_name(dtype)
        return names[id(value)] if have == wanted else f"static_cast<{wanted}>({names[id(value)]})"

    lines = [f"struct {name} {{  // {formula.name}"]
    results = [cuda_name(_wide(d)) for d in made]
    arguments = ", ".join(f"{type_of(found[id(s)])} x{i}" for i, s in enumerate(formula.symbols))
    lines.append(f"    static __device__ __forceinline__ Values<{', '.join(results)}> apply({arguments}) {{")
    for k, e in enumerate(formula.steps):
        dtype = _operand_dtype(e, found, compute)
        operands = [operand(a, _own_dtype(e, i, dtype)) for i, a in enumerate(e.args)]
        text = _step(e, operands, cuda_name(dtype), storage)
        names[id(e)] = f"t{k}"
        lines.append(f"        const {type_of(found[id(e)])} t{k} = {text};")
    returned = "{}"
    for out, dtype in reversed(list(zip(formula.outs, made))):
        returned = f"{{{operand(out, _wide(dtype))}, {returned}}}"
    return "\n".join([*lines, f"        return {returned};", "    }", "};", ""])


def _own_dtype(e: Expr, place: int, promoted: Any) -> Any:
    """The dtype of one input of a step: inputs that do not promote beside others that do are conditions."""
    assert e.op is not None
    return _BOOL if e.op.promotes and e.op.inputs[place] not in e.op.promotes else promoted


def _step(e: Expr, operands: list[str], computed: str, storage: str) -> str:
    assert e.op is not None and e.op.cuda is not None
    params = {name: _constant(value) for name, value in e.params.items()}
    return e.op.cuda.format(*operands, C=computed, storage=storage, **params)


def _constant(value: Any) -> str:
    """A parameter of a function in math.cuh or special.cuh; -1 for None."""
    return "-1" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def literal(value: Any, type_name: str) -> str:
    """A constant of a formula, in the C++ type it is used in."""
    if isinstance(value, float) and math.isinf(value):
        return f"{'-' if value < 0 else ''}infinity<{type_name}>()"
    if isinstance(value, float) and math.isnan(value):
        return f"not_a_number<{type_name}>()"
    if isinstance(value, bool):
        return f"static_cast<{type_name}>({int(value)})"
    if isinstance(value, int):
        text = f"{value}ull" if value >= 2**63 else f"{value}ll" if value > -(2**63) else f"({value + 1}ll - 1)"
        return f"static_cast<{type_name}>({text})"
    return f"static_cast<{type_name}>({float(value)!r})"
