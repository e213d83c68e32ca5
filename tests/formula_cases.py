"""Inputs and parameters that put every formula op to the test."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import ml_dtypes
import numpy as np

import gpugrad
import gpugrad.ops
from gpugrad.op import REGISTRY

DTYPES: dict[str, Any] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "int64": np.dtype(np.int64),
    "int32": np.dtype(np.int32),
    "uint8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}

# Where an op has parameters: the sets to try.
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "addcmul": [{"value": 1}, {"value": 3}],
    "addcdiv": [{"value": 0.5}],
    "nan_to_num": [{"nan": 7.0, "posinf": 8.0, "neginf": -9.0}],
    "pow_scalar": [{"exponent": e} for e in (0, 1, 2, 3, 4, 0.5, -0.5, -1, -2, 2.5)],
    "pow_base": [{"base": b} for b in (2, 0, -3)],
    "polygamma": [{"n": n} for n in (1, 2, 5)],
    "logit": [{"eps": None}, {"eps": 0.125}],
    "hardtanh": [{"min_val": -1.0, "max_val": 1.0}, {"min_val": 2, "max_val": 100}],
    "leaky_relu": [{"negative_slope": 0.125}],
    "leaky_relu_grad": [{"negative_slope": 0.125}],
    "threshold": [{"threshold": 1, "value": 20}],
    "hardshrink": [{"lambd": 0.5}],
    "softshrink": [{"lambd": 0.25}],
    "gelu": [{"approximate": "none"}, {"approximate": "tanh"}],
    "softplus": [{"beta": 1, "threshold": 20}, {"beta": 2.0, "threshold": 1.0}],
    "elu": [{"alpha": 1.0, "scale": 1.0, "input_scale": 1.0}, {"alpha": 1.6, "scale": 1.05, "input_scale": 0.5}],
    "huber_loss": [{"delta": 1.0}],
    "isclose": [{"equal_nan": False}, {"equal_nan": True}],
}


def formula_ops() -> list[Any]:
    """Every op of gpugrad's own that is a formula."""
    for module in pkgutil.iter_modules(gpugrad.ops.__path__):
        importlib.import_module(f"gpugrad.ops.{module.name}")
    return [o for o in REGISTRY.values() if o.formula and o.body.__module__.startswith(("gpugrad.", "numpy"))]


def values(dtype: Any) -> np.ndarray:
    """Ordinary and extreme numbers of a dtype."""
    if dtype == np.bool_:
        return np.array([True, False, False, True, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        ordinary = [0, 1, 2, 3, 5, 7, 12, 30, 63, 64, 100, -1, -2, -3, -7, -12, -64, -100]
        kept = [v for v in ordinary if limits.min <= v <= limits.max]
        return np.array([*kept, limits.min, limits.max, limits.max - 1], dtype)
    largest = float(ml_dtypes.finfo(dtype).max)
    smallest = float(ml_dtypes.finfo(dtype).tiny)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, largest, -largest, smallest, -smallest]
    ordinary = [
        1,
        -1,
        0.5,
        -0.5,
        0.25,
        -0.75,
        2,
        -2,
        3,
        -3,
        1.5,
        -2.5,
        3.5,
        0.1,
        -0.3,
        0.7,
        0.9,
        0.99,
        7,
        -7.25,
        10,
        25,
    ]
    far = [-10.5, -25.75, 50, -50.5, 88, -88.5, 100, 1000, -1000.5, 1e-3, -1e-3, 1e-6, -1e-6, 6.1, 12.3]
    with np.errstate(over="ignore"):
        return np.array([*special, *ordinary, *far], np.float64).astype(dtype)


def inputs(op: Any, dtype: Any) -> list[np.ndarray]:
    """Arrays for the inputs of `op`: all pairs of values if there are two, a draw of them if there are three."""
    x = values(dtype)
    if op.name == "zeta":
        x = x[~(abs(x.astype(np.float64)) > 1e4) | np.isinf(x.astype(np.float64))]  # NumPy's own overflows beyond
    if op.name == "where":
        condition = np.resize([True, False, False], x.size)
        return [condition, x, x[::-1].copy()]
    if len(op.inputs) == 1:
        return [x]
    if len(op.inputs) == 2:
        pairs = [np.repeat(x, x.size), np.tile(x, x.size)]
        if op.name in _DIVIDES and dtype.kind in "iu":
            pairs = [p[pairs[1] != 0] for p in pairs]
        if op.name.startswith(
            "binary_cross_entropy"
        ):  # the terms of a target that is no probability cancel: rounding is left
            pairs = [p[~(abs(pairs[1].astype(np.float64) - 0.5) > 0.5)] for p in pairs]
        return pairs
    rng = np.random.default_rng(0)
    return [rng.choice(x, 300) for _ in op.inputs]


def takes(op: Any, params: dict[str, Any], dtype: Any) -> bool:
    """Whether arrays of this dtype reach the body: tensors are promoted before."""
    if dtype.kind not in "iub":
        return True
    exponent = params.get("exponent", 0)
    return not op.to_float and isinstance(exponent, int) and exponent >= 0


_DIVIDES = frozenset(("floor_divide", "remainder", "fmod", "div_trunc"))
