"""Activation functions."""

from __future__ import annotations

from functools import partial
from typing import Any

from op_table import Row, arr

from rows.elementwise_unary import INF, LOW, NAN, samples

LIMITS = (0.0, -0.0, INF, -INF, NAN, 30.0, -30.0)


def functions(m: Any) -> Any:
    """Where a module keeps its activation functions."""
    return m.nn.functional if m.__name__ == "torch" else m.ops


def call_functional(name: str, params: dict[str, Any], m: Any, *inputs: Any) -> Any:
    return getattr(functions(m), name)(*inputs, **params)


def row(name: str, *limits: float, label: str = "", tolerance: float = 1e-9, **params: Any) -> Row:
    return Row(
        label or name,
        partial(call_functional, name, params),
        samples(-3, 3, *(limits or LIMITS)),
        more_dtypes=LOW,
        tolerance={"float64": tolerance},
    )


ROWS = [
    row("relu"),
    Row(
        "relu_counted", lambda m, x: functions(m).relu(x), [(arr(2, 3),)], dtypes=("int64", "uint8", "int8"), grad=False
    ),
    row("relu6", *LIMITS[:4], 6.0),
    row("leaky_relu"),
    row("leaky_relu", negative_slope=0.3, label="leaky_relu_slope"),
    row("hardtanh", *LIMITS[:4], 1.0, -1.0),
    row("hardtanh", min_val=-0.5, max_val=2.0, label="hardtanh_bounds"),
    row("threshold", threshold=0.5, value=-7.0),
    row("hardsigmoid", *LIMITS, 3.0, -3.0, tolerance=1e-7),  # PyTorch rounds 1/6 to float32
    row("hardswish", 0.0, INF, NAN, 30.0, -30.0, 1.0),
    row("hardshrink", *LIMITS[:4], 0.5, -0.5),
    row("hardshrink", 1.4, -1.6, lambd=1.5, label="hardshrink_lambd"),
    row("softshrink", *LIMITS[:4], 0.5, -0.5),
    row("softshrink", 1.0, -2.0, lambd=1.5, label="softshrink_lambd"),
    row("elu"),
    row("elu", alpha=0.7, label="elu_alpha"),
    row("selu"),
    row("celu", alpha=0.7, tolerance=1e-6),
    row("silu", 0.0, INF, NAN, 30.0, -30.0),
    row("mish", 0.0, INF, NAN, 30.0, -30.0),
    row("gelu", 0.0, NAN, 30.0, -30.0, 5.0, -5.0),
    row("gelu", 0.0, NAN, 30.0, -30.0, 5.0, -5.0, approximate="tanh", label="gelu_tanh"),
    row("softplus"),
    row("softplus", 0.0, 30.0, -30.0, 1.4, beta=2, threshold=2, label="softplus_beta"),
    row("logsigmoid"),
    row("softsign", 0.0, -0.0, NAN, 30.0),
    row("tanhshrink"),
    row("rrelu"),
    Row("glu", lambda m, x: functions(m).glu(x, dim=0), [(arr(4, 3),), (arr(2, 0),)]),
    Row(
        "prelu",
        lambda m, x, w: functions(m).prelu(x, w),
        [
            (arr(2, 3), arr(1)),
            (arr(2, 3), arr(3)),
            (arr(2, 3, 4), arr(3)),
            (arr(4), arr(1)),
            (arr(), arr()),
            (arr(0, 2), arr(2)),
        ],
    ),
]
