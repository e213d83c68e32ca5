"""Linear layers with an activation between them as one op; PyTorch takes them one by one."""

from __future__ import annotations

from functools import partial
from typing import Any

from op_table import Row, Sample, arr

from gpugrad.ops.perceptron import ACTIVATIONS, perceptron


def call(activation: str, biased: tuple[bool, ...], last: bool, m: Any, x: Any, *parameters: Any) -> Any:
    if m.__name__ == "gpugrad":
        return perceptron(x, *parameters, biased=biased, activation=activation, last=last)
    name, _, approximate = activation.partition("_")
    options = {"approximate": approximate} if approximate else {}
    given = iter(parameters)
    for i, has_bias in enumerate(biased):
        x = m.nn.functional.linear(x, next(given), next(given) if has_bias else None)
        if last or i < len(biased) - 1:
            x = getattr(m.nn.functional, name)(x, **options)
    return x


def sample(*sizes: int, batch: tuple[int, ...] = (5,), biased: tuple[bool, ...]) -> Sample:
    parameters = []
    for n, m, has_bias in zip(sizes[:-1], sizes[1:], biased, strict=True):
        parameters += [arr(m, n), *([arr(m)] if has_bias else [])]
    return (arr(*batch, sizes[0]), *parameters)


def row(activation: str, *, biased: tuple[bool, ...], last: bool = False, **options: Any) -> Row:
    sizes = (4, 3, 6, 2)[: len(biased) + 1]
    samples = [sample(*sizes, batch=batch, biased=biased) for batch in ((5,), (), (2, 3), (0,))]
    label = f"perceptron_{activation}_{len(biased)}{'_last' if last else ''}{'' if all(biased) else '_some_bias'}"
    return Row(label, partial(call, activation, biased, last), samples, more_dtypes=("float16", "bfloat16"), **options)


ROWS = [
    *[row(name, biased=(True, True)) for name in ACTIVATIONS],
    *[row(name, biased=(True, True), last=True) for name in ("relu", "gelu_tanh")],
    row("relu", biased=(True, True, True)),
    row("tanh", biased=(True, False, True)),
    row("gelu_tanh", biased=(False, False, True), last=True),
    row("relu", biased=(False,), last=True),
    row("silu", biased=(True,)),
    Row(
        "perceptron_relu_bias_broadcast",
        partial(call, "relu", (True, True), False),
        [(arr(5, 4), arr(3, 4), arr(1), arr(2, 3), arr())],
    ),
]
