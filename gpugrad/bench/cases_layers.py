"""`gpugrad bench layers`: layers of `nn`, forward and backward. A size is the elements of the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case, Layer, Op, multiple_of

_FEATURES = 512
_IMAGE = (16, 32, 32)
_NORM = 768
_EMBEDDING = (10000, 256)
_CLASSES = 1000
_HEADS = (8, 128, 64)  # heads, positions, elements of a head
_CONV_FLOPS = 2 * 9 * 32  # for each element of the input, forward


def _layer(name: str, arrays: float, granule: int, layer: Callable[[Any], Any], inputs: Any, **more: Any) -> Layer:
    more = {"fit": multiple_of(granule)} | more
    return Layer(name=name, group="layers", arrays=arrays, layer=layer, inputs=inputs, **more)


def _input(*shape: int) -> Callable[[Any, int], tuple[Any, ...]]:
    size = int(np.prod(shape))
    return lambda peer, n: (peer.normal(n // size, *shape),)


def _scores(peer: Any, n: int) -> tuple[Any, ...]:
    rows = n // _CLASSES
    return peer.normal(rows, _CLASSES), peer.integers(_CLASSES, rows)


def _heads(peer: Any, n: int) -> tuple[Any, ...]:
    return tuple(peer.normal(n // int(np.prod(_HEADS)), *_HEADS) for _ in range(3))


def _kept(results: list[np.ndarray]) -> list[np.ndarray]:
    """Of dropout applied to ones: zero wherever an element is 0 or 2, and whether about half of them were kept."""
    y = results[0].astype(np.float64)
    return [y * (y - 2), np.array(float(abs(y.mean() - 1) < 6 / np.sqrt(y.size)))]


LAYERS: tuple[Case, ...] = (
    _layer(
        "Linear",
        6,
        _FEATURES,
        lambda nn: nn.Linear(_FEATURES, _FEATURES),
        _input(_FEATURES),
        flops=lambda n: 6.0 * _FEATURES * n,
    ),
    _layer(
        "Conv2d",
        9,
        int(np.prod(_IMAGE)),
        lambda nn: nn.Conv2d(16, 32, 3, padding=1),
        _input(*_IMAGE),
        flops=lambda n: 3.0 * _CONV_FLOPS * n,
    ),
    _layer("LayerNorm", 5, _NORM, lambda nn: nn.LayerNorm(_NORM), _input(_NORM)),
    _layer("BatchNorm2d", 5, int(np.prod(_IMAGE)), lambda nn: nn.BatchNorm2d(_IMAGE[0]), _input(*_IMAGE)),
    _layer(
        "Embedding",
        3,
        _EMBEDDING[1],
        lambda nn: nn.Embedding(*_EMBEDDING),
        lambda peer, n: (peer.integers(_EMBEDDING[0], n // _EMBEDDING[1]),),
        fixed=int(np.prod(_EMBEDDING)),  # the gradient is as large as the table
    ),
    _layer("Dropout", 5, 1, lambda nn: nn.Dropout(0.5), lambda peer, n: (peer.ones(n),), outcome=_kept),
    _layer("CrossEntropyLoss", 3, _CLASSES, lambda nn: nn.CrossEntropyLoss(), _scores),
    Op(
        name="attention",
        group="layers",
        arrays=11,
        fit=multiple_of(int(np.prod(_HEADS))),
        flops=lambda n: 12.0 * _HEADS[1] * n,
        inputs=_heads,
        function=lambda torch, q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v),
        backward=True,
    ),
)
