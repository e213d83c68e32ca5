"""Convolution, pooling, padding, resampling."""

from __future__ import annotations

from typing import Any

from op_table import Row, arr

from rows.nn_loss import LOW, row


def unpooled(m: Any, x: Any) -> Any:
    values, indices = m.nn.functional.max_pool2d(x, 2, return_indices=True)
    return m.nn.functional.max_unpool2d(values, indices, 2)


def distinct(*shape: int) -> Any:
    return arr(*shape, distinct=True)


BIASED = (arr(2, 4, 5, 4), arr(6, 2, 3, 2), arr(6))
PLAIN = (arr(2, 4, 5, 4), arr(6, 4, 2, 2))
UNBATCHED = (arr(4, 5, 4), arr(6, 4, 2, 2))
CLOSE = {"float32": 1e-4}

ROWS = [
    row("conv1d", (arr(2, 3, 6), arr(4, 3, 3), arr(4)), (arr(3, 6), arr(4, 3, 2)), more_dtypes=LOW, tolerance=CLOSE),
    row("conv1d", (arr(2, 3, 6), arr(4, 3, 3)), params={"padding": "same", "dilation": 2}, tolerance=CLOSE),
    row("conv2d", PLAIN, UNBATCHED, params={"padding": "valid"}, tolerance=CLOSE),
    row("conv2d", BIASED, params={"stride": 2, "padding": (1, 0), "groups": 2}, tolerance=CLOSE),
    row("conv2d", PLAIN, params={"stride": (2, 1), "padding": (1, 2), "dilation": (2, 1)}, tolerance=CLOSE),
    row("conv3d", (arr(1, 2, 3, 4, 3), arr(3, 2, 2, 2, 2), arr(3)), params={"padding": 1}, tolerance=CLOSE),
    row("conv_transpose1d", (arr(2, 3, 4), arr(3, 2, 3), arr(2)), (arr(3, 4), arr(3, 2, 2)), tolerance=CLOSE),
    row(
        "conv_transpose2d",
        (arr(2, 4, 3, 3), arr(4, 3, 3, 3), arr(6)),
        params={"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
        tolerance=CLOSE,
    ),
    row("conv_transpose3d", (arr(1, 2, 2, 3, 2), arr(2, 3, 2, 2, 2)), params={"stride": 2}, tolerance=CLOSE),
    row("unfold", (arr(2, 3, 5, 4),), (arr(3, 5, 4),), params={"kernel_size": (2, 3), "padding": 1, "stride": (2, 1)}),
    row("fold", (arr(2, 12, 12),), (arr(8, 12),), params={"output_size": (4, 5), "kernel_size": 2}),
    row("max_pool1d", (distinct(2, 3, 7),), (distinct(3, 7),), params={"kernel_size": 2}),
    row(
        "max_pool2d",
        (distinct(2, 3, 5, 6),),
        (distinct(3, 5, 6),),
        params={"kernel_size": 2, "return_indices": True},
        more_dtypes=LOW,
    ),
    row("max_pool2d", (distinct(2, 3, 5, 6),), params={"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    row("max_pool3d", (distinct(1, 2, 4, 4, 3),), params={"kernel_size": 2, "stride": 1}),
    Row("max_unpool2d", unpooled, [(distinct(2, 3, 4, 6),)]),
    row("adaptive_max_pool1d", (distinct(2, 3, 7),), params={"output_size": 3}),
    row("adaptive_max_pool2d", (distinct(2, 3, 5, 6),), params={"output_size": (2, None), "return_indices": True}),
    row("adaptive_max_pool3d", (distinct(2, 3, 4, 3),), params={"output_size": 2}),
    row("avg_pool1d", (arr(2, 3, 7),), (arr(3, 7),), params={"kernel_size": 3, "stride": 2, "padding": 1}),
    row("avg_pool2d", (arr(2, 3, 5, 6),), (arr(3, 5, 6),), params={"kernel_size": 2}, more_dtypes=LOW),
    row(
        "avg_pool2d",
        (arr(2, 3, 5, 6),),
        params={"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    ),
    row("avg_pool3d", (arr(1, 2, 4, 4, 3),), params={"kernel_size": 2, "divisor_override": 3}),
    row("adaptive_avg_pool1d", (arr(2, 3, 7),), params={"output_size": 3}),
    row("adaptive_avg_pool2d", (arr(2, 3, 5, 6),), (arr(3, 5, 6),), params={"output_size": (2, None)}),
    row("adaptive_avg_pool3d", (arr(2, 3, 4, 3),), params={"output_size": 1}),
    row("lp_pool1d", (arr(2, 3, 6, low=0.5),), params={"norm_type": 3.0, "kernel_size": 2}),
    row("lp_pool2d", (arr(2, 3, 4, 4, low=0.5),), params={"norm_type": 2.0, "kernel_size": 2}),
    *[
        row("pad", (arr(2, 3, 5),), (arr(3, 5),), params={"pad": (2, 1), "mode": mode})
        for mode in ("reflect", "replicate", "circular")
    ],
    row("pad", (arr(2, 3, 5, 4),), params={"pad": (1, 2, 2, 0), "mode": "reflect"}),
    row("pad", (arr(2, 3, 5),), (arr(4, 4),), params={"pad": (1, -1, 0, 2), "value": 1.5}),
    row("pad", (arr(4),), (arr(2, 0),), params={"pad": (1, 1)}, more_dtypes=("int64", "bool", *LOW)),
    *[
        row("interpolate", (arr(2, 3, 4, 3),), params={"scale_factor": 2.0, "mode": mode}, tolerance=CLOSE)
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic")
    ],
    row("interpolate", (arr(2, 3, 4, 5),), params={"size": (3, 7), "mode": "bilinear", "align_corners": True}),
    row("interpolate", (arr(2, 3, 5),), params={"size": 3, "mode": "linear"}),
    row("interpolate", (arr(2, 3, 5),), params={"size": 3}, label="interpolate_default"),
    row("interpolate", (arr(1, 2, 2, 3, 2),), params={"scale_factor": 1.5, "mode": "trilinear"}),
    row("interpolate", (arr(2, 3, 4, 6),), params={"size": (2, 4), "mode": "area"}),
    row("pixel_shuffle", (arr(2, 8, 3, 2),), (arr(4, 3, 2),), params={"upscale_factor": 2}),
    row("pixel_unshuffle", (arr(2, 2, 4, 6),), params={"downscale_factor": 2}),
    row("channel_shuffle", (arr(2, 6, 3, 2),), params={"groups": 2}),
]
