"""Comparison, classification, logic on truth values and on bits, and the choice between two values: `where`.

Only `where` has rules: the others have nothing to differentiate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import FLOATS, LOW_PRECISION, as_dtype, float64, result_type_of, scalar_dtype
from ..inplace import into
from ..op import op
from .cast import cast
from .elementwise import Body, binary, dtype_of, is_integral, refusing, typed_zero

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
    "signbit",
    "where",
]

# ---- comparison ----

eq = binary("eq", np.equal, "{0} == {1}")
ne = not_equal = binary("ne", np.not_equal, "{0} != {1}")
lt = less = binary("lt", np.less, "{0} < {1}")
le = less_equal = binary("le", np.less_equal, "{0} <= {1}")
gt = greater = binary("gt", np.greater, "{0} > {1}")
ge = greater_equal = binary("ge", np.greater_equal, "{0} >= {1}")


# ---- classification ----


def _predicate(name: str, body: Body, cuda: str) -> Any:
    return op(body, name=name, names=("input",), cuda=cuda)


isnan = _predicate("isnan", lambda x: x != x, "is_nan({0})")
isinf = _predicate("isinf", lambda x: abs(x) == np.inf, "is_infinite({0})")
isfinite = _predicate("isfinite", lambda x: abs(x) < np.inf, "is_finite({0})")
isposinf = _predicate("isposinf", lambda x: x == np.inf, "{0} > 0 && is_infinite({0})")
isneginf = _predicate("isneginf", lambda x: x == -np.inf, "{0} < 0 && is_infinite({0})")
signbit = _predicate("signbit", lambda x: x < 0 if is_integral(x) else np.signbit(x), "sign_bit({0})")


def _isclose_body(x: Any, y: Any, rtol: float, atol: float, *, equal_nan: bool) -> Any:
    if x.dtype in LOW_PRECISION:
        x, y = x.astype(np.float32), y.astype(np.float32)
    close = (x == y) | (abs(x - y) <= atol + abs(rtol * y)) & (abs(y) < np.inf)
    return close | (x != x) & (y != y) if equal_nan else close


_isclose = op(  # tolerances are inputs, as numbers among these make no kernel of their own
    refusing("isclose", _isclose_body, "bool", "int"),
    name="isclose",
    names=("input", "other", "rtol", "atol"),
    broadcasts=True,
    promotes=True,
    cuda="is_close({0}, {1}, {2}, {3}, {equal_nan})",
)


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether `|input - other| <= atol + rtol * |other|`, elementwise; infinities are close to themselves.

    RuntimeError if the dtypes differ or a tolerance is negative.
    """
    if input.dtype != other.dtype:
        raise RuntimeError(f"isclose(): {input.dtype} did not match {other.dtype}; convert one of the tensors first")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose(): rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    if input._array.dtype not in FLOATS:
        input, other = cast(input, float64.numpy), cast(other, float64.numpy)
    return _isclose(input, other, float(rtol), float(atol), equal_nan=bool(equal_nan))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close as `isclose` defines it. RuntimeError as there."""
    return _every(isclose(input, other, rtol, atol, equal_nan))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether the shapes are the same and all elements are equal (NaN is equal to nothing)."""
    return tuple(input.shape) == tuple(other.shape) and _every(eq(input, other))


@op
def _all_true(x: Any) -> Any:
    return np.logical_and.reduce(x, axis=None)


def _every(x: Any) -> bool:
    result = _all_true(x)
    return bool(result._array if isinstance(result, Tensor) else result)


# ---- truth values ----

logical_and = binary("logical_and", np.logical_and, "{0} && {1}")
logical_or = binary("logical_or", np.logical_or, "{0} || {1}")
logical_xor = binary("logical_xor", np.logical_xor, "!{0} != !{1}")
logical_not = _predicate("logical_not", np.logical_not, "!{0}")


# ---- bits ----


def _on_bits(name: str, ufunc: Any, cuda: str, *refused: str) -> Any:
    return binary(name, refusing(name, ufunc, "float", *refused), cuda)


bitwise_and = _on_bits("bitwise_and", np.bitwise_and, "{0} & {1}")
bitwise_or = _on_bits("bitwise_or", np.bitwise_or, "{0} | {1}")
bitwise_xor = _on_bits("bitwise_xor", np.bitwise_xor, "{0} ^ {1}")
bitwise_left_shift = _on_bits("bitwise_left_shift", np.left_shift, "shift_left({0}, {1})", "bool")
bitwise_right_shift = _on_bits("bitwise_right_shift", np.right_shift, "shift_right({0}, {1})", "bool")
bitwise_not = _predicate("bitwise_not", refusing("bitwise_not", np.invert, "float"), "bitwise_not({0})")


# ---- choice ----


def choose_numpy(condition: Any, x: Any, y: Any) -> Any:
    """`x` where `condition`, else `y`, on arrays."""
    if type(condition) is np.ndarray:
        if condition.size >= _LARGE:
            dtype = dtype_of(x, y)
            if dtype in FLOATS and _fits(x, dtype, condition.shape) and _fits(y, dtype, condition.shape):
                return _choose_by_bits(condition, x, y, dtype)
        elif type(x) is int and x == 0:
            x = typed_zero(y)
    return np.where(condition, x, y)


# What `where` comes down to, and what rules use.
choose = op(
    choose_numpy,
    name="where",
    names=("condition", "input", "other"),
    broadcasts=True,
    promotes=("x", "y"),
    cuda="{0} ? {1} : {2}",
)

_LARGE = 2048  # elements; below it np.where is as fast
_ONE = np.array(1, np.int8)
_BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def _fits(a: Any, dtype: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(a, (int, float)) if type(a) is not np.ndarray else a.dtype is dtype and a.shape == shape


def _choose_by_bits(condition: np.ndarray, x: Any, y: Any, dtype: Any) -> np.ndarray:
    """`y ^ ((x ^ y) & mask)`: np.where takes ten times as long on a random condition, which its branches mispredict."""
    integer = _BITS[dtype.itemsize]
    if type(x) is int and x == 0 and type(y) is np.ndarray:
        kept = np.subtract(condition.view(np.int8), _ONE).astype(integer)  # all bits where y is
        return np.bitwise_and(kept, y.view(integer), out=kept).view(dtype)
    x, y = (np.asarray(a, dtype).view(integer) for a in (x, y))
    out = np.empty(condition.shape, dtype)
    bits = out.view(integer)
    np.negative(condition.view(np.int8), out=bits)
    bits &= x ^ y
    bits ^= y
    return out


choose.defvjp(
    x=lambda g, condition: choose(condition, g, 0),
    y=lambda g, condition: choose(condition, 0, g),
)


def where(condition: Tensor, input: Any = None, other: Any = None, *, out: Tensor | None = None) -> Any:
    """`input` where `condition`, else `other`, broadcast and promoted; either may be a Python scalar.

    `where(condition)` alone is `nonzero(condition, as_tuple=True)`. RuntimeError if `condition` is not bool.
    """
    if input is None and other is None:
        from .mask import nonzero

        return nonzero(condition, as_tuple=True)
    dtype = condition._array.dtype if isinstance(condition, Tensor) else getattr(condition, "dtype", None)
    if dtype is not None and dtype != np.bool_:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {as_dtype(dtype)}. Compare "
            "it with something first, as in condition != 0."
        )
    result = choose(condition, input, other)
    if not _has_dtype(input) and not _has_dtype(other):  # NumPy's default dtypes for two scalars are not PyTorch's
        result = cast(result, result_type_of([(scalar_dtype(input), 0), (scalar_dtype(other), 0)]).numpy)
    return result if out is None else into(out, result, "where")


def _has_dtype(x: Any) -> bool:
    return not isinstance(x, (bool, int, float))
