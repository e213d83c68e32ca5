"""Special functions."""

from __future__ import annotations

from functools import partial
from typing import Any

from op_table import Row, arr

from rows.elementwise_unary import INF, LOW, NAN, samples

LIMITS = (0.0, INF, -INF, NAN)


def call_special(name: str, m: Any, *inputs: Any) -> Any:
    return getattr(m.special, name)(*inputs)


def row(name: str, low: float, high: float, *limits: float, **options: Any) -> Row:
    options.setdefault("more_dtypes", LOW)
    return Row(f"special.{name}", partial(call_special, name), samples(low, high, *limits), **options)


ROWS = [
    row("erf", -2, 2, *LIMITS),
    Row(
        "erf_counted",
        lambda m, x: (m.erf(x), m.erfc(x), m.special.i0(x)),
        [(arr(3, low=0, high=3),)],
        dtypes=("int64", "uint8", "bool"),
        grad=False,
    ),
    row("erfc", -2, 2, *LIMITS, 9.0),
    row("erfcx", -2, 2, *LIMITS[:2], NAN, 30.0, more_dtypes=()),
    row("erfinv", -0.9, 0.9, 0.0, NAN, 0.999),
    row("ndtr", -2, 2, *LIMITS),
    row("log_ndtr", -2, 2, 0.0, NAN, -30.0, 5.0, more_dtypes=()),
    row("ndtri", 0.1, 0.9, NAN, 0.999, more_dtypes=()),
    row("gammaln", 0.3, 4, 1.0, 2.0, INF, NAN, 30.0),
    row("digamma", 0.3, 4, 1.0, INF, NAN, 30.0, -1.5),
    row("psi", 0.3, 4, more_dtypes=()),
    row("i0", -2, 2, 0.0, NAN, 9.0),
    row("i0e", -2, 2, 0.0, NAN, 9.0),
    row("i1", 0.3, 2, 0.0, 9.0),
    row("i1e", 0.3, 2, 0.0, 9.0),
    row("entr", 0.2, 2, INF, NAN),
    row("sinc", 0.2, 2, 0.0, NAN),
    row("expit", -3, 3),
    row("exp2", -2, 2),
    row("expm1", -2, 2),
    row("log1p", -0.5, 2),
    row("logit", 0.1, 0.9, 0.0, 1.0, 1.5, -0.5, NAN, second=False, why="PyTorch has no second derivative at the ends"),
    Row(
        "logit_eps",
        lambda m, x: m.special.logit(x, 0.2),
        [(arr(2, 3, low=0.25, high=0.75),), (arr(4, values=(0.0, 1.0, 0.1, 0.9)),)],
    ),
    *(
        Row(f"polygamma_{n}", lambda m, x, n=n: m.polygamma(n, x), [(arr(2, 3, low=0.5, high=4),), (arr(low=0.5),)])
        for n in (0, 1, 2, 3)
    ),
    Row("multigammaln", lambda m, x: m.special.multigammaln(x, 3), [(arr(2, 3, low=2, high=4),)]),
    Row("mvlgamma", lambda m, x: m.mvlgamma(x, 2), [(arr(2, 3, low=2, high=4),)]),
    Row("lgamma", lambda m, x: m.lgamma(x), [(arr(2, 3, low=0.5, high=4),)]),
    Row(
        "xlogy",
        lambda m, x, y: m.xlogy(x, y),
        [
            (arr(2, 3), arr(3, low=0.5)),
            (arr(5, values=(0.0, 0.0, 0.0, 1.0, NAN)), arr(5, values=(0.0, -1.0, NAN, INF, 1.0))),
        ],
        more_dtypes=LOW,
    ),
    Row("xlogy_scalar", lambda m, x: (m.xlogy(x, 2), m.xlogy(2.0, x)), [(arr(2, 3, low=0.5),)]),
    Row(
        "xlog1py",
        lambda m, x, y: m.special.xlog1py(x, y),
        [(arr(2, 3), arr(3, low=-0.5)), (arr(4, values=(0.0, 0.0, 0.0, 1.0)), arr(4, values=(-1.0, -2.0, NAN, INF)))],
    ),
    Row("zeta", lambda m, x, q: m.special.zeta(x, q), [(arr(3, low=2.1, high=4), arr(3, low=0.5, high=3))], grad=False),
]
