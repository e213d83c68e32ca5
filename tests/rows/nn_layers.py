"""Normalization, embedding, attention: what layers are made of."""

from __future__ import annotations

from typing import Any

from op_table import Arr, Row, arr

from rows.nn_loss import LOW, row


def by_running_statistics(m: Any, x: Any, mean: Any, variance: Any, weight: Any, bias: Any) -> Any:
    return m.nn.functional.batch_norm(x, mean.to(x.dtype), variance.to(x.dtype), weight, bias)


def in_training(m: Any, x: Any, *affine: Any) -> Any:
    return m.nn.functional.batch_norm(x, None, None, *affine, training=True)


def moving_statistics(m: Any, x: Any, mean: Any, variance: Any) -> Any:
    mean, variance = mean.detach().clone(), variance.detach().clone()
    m.nn.functional.batch_norm(x.detach(), mean, variance, training=True, momentum=0.3)
    m.nn.functional.instance_norm(x.detach(), mean, variance, momentum=0.2)
    return mean, variance


def statistics(channels: int) -> tuple[Arr, Arr]:
    """A mean and a variance, in integers, which have no gradient."""
    return arr(channels, dtype="int64", low=-2, high=3), arr(channels, dtype="int64", low=1, high=5)


def indices(*shape: int, high: int) -> Arr:
    return arr(*shape, dtype="int64", low=0, high=high)


ROWS = [
    row("layer_norm", (arr(3, 4),), (arr(2, 3, 4),), params={"normalized_shape": (4,)}, more_dtypes=LOW),
    row("layer_norm", (arr(2, 3, 4),), params={"normalized_shape": (3, 4), "eps": 0.1}),
    Row(
        "layer_norm_affine",
        lambda m, x, w, b: m.nn.functional.layer_norm(x, (4,), w, b),
        [(arr(3, 4), arr(4), arr(4)), (arr(2, 3, 4), arr(4), arr(4))],
    ),
    Row("rms_norm", lambda m, x, w: m.nn.functional.rms_norm(x, (4,), w), [(arr(3, 4), arr(4))]),
    row("rms_norm", (arr(2, 3, 4),), params={"normalized_shape": (3, 4), "eps": 0.1}),
    Row(
        "batch_norm_in_training", in_training, [(arr(3, 4), arr(4), arr(4)), (arr(2, 3, 4, 2),), (arr(2, 3, 4), arr(3))]
    ),
    Row(
        "batch_norm_by_running_statistics",
        by_running_statistics,
        [(arr(3, 4), *statistics(4), arr(4), arr(4)), (arr(2, 3, 4), *statistics(3), arr(3), arr(3))],
    ),
    Row("batch_norm_moving_statistics", moving_statistics, [(arr(2, 3, 4), arr(3), arr(3, low=0.5))], grad=False),
    row("group_norm", (arr(2, 4, 3),), (arr(3, 6),), params={"num_groups": 2}),
    Row(
        "group_norm_affine",
        lambda m, x, w, b: m.nn.functional.group_norm(x, 2, w, b),
        [(arr(2, 4, 3, 2), arr(4), arr(4))],
    ),
    row("instance_norm", (arr(2, 3, 4),), (arr(2, 3, 4, 2),)),
    Row(
        "instance_norm_affine",
        lambda m, x, w, b: m.nn.functional.instance_norm(x, weight=w, bias=b),
        [(arr(2, 3, 4), arr(3), arr(3))],
    ),
    row(
        "embedding",
        (indices(3, 4, high=5), arr(5, 3)),
        (indices(4, high=5), arr(5, 3)),
        (indices(high=5), arr(5, 2)),
        (indices(0, high=5), arr(5, 2)),
        more_dtypes=LOW,
    ),
    row("embedding", (indices(3, 4, high=5), arr(5, 3)), params={"padding_idx": -4}, grad=False),
    row("embedding", (indices(3, 4, high=5), arr(5, 3)), params={"scale_grad_by_freq": True}, grad=False),
    row("one_hot", (indices(3, 4, high=5),), (indices(high=5),), grad=False),
    row("one_hot", (indices(3, 4, high=5),), (indices(0, high=5),), params={"num_classes": 7}, grad=False),
    row(
        "scaled_dot_product_attention",
        (arr(2, 3, 4, 5), arr(2, 3, 6, 5), arr(2, 3, 6, 2)),
        (arr(4, 5), arr(6, 5), arr(6, 5)),
    ),
    row(
        "scaled_dot_product_attention",
        (arr(2, 4, 5), arr(2, 4, 5), arr(2, 4, 2)),
        params={"is_causal": True, "scale": 0.3},
    ),
    row(
        "scaled_dot_product_attention", (arr(2, 3, 5), arr(2, 4, 5), arr(2, 4, 2), arr(3, 4)), label="attention_biased"
    ),
    row(
        "scaled_dot_product_attention",
        (arr(3, 5), arr(4, 5), arr(4, 2), arr(3, 4, dtype="bool", values=(1, 0, 1, 1, 0, 0, 0, 0))),
        label="attention_masked",
    ),
    row(
        "scaled_dot_product_attention", (arr(1, 4, 3, 2), arr(1, 2, 3, 2), arr(1, 2, 3, 2)), params={"enable_gqa": True}
    ),
]
