"""The table: which functions compute in which dtype inside autocast, on the CPU and on CUDA. The lists are PyTorch's.

https://pytorch.org/docs/stable/amp.html#autocast-op-reference

A function is named by the module it lies in and its name there. Some are not functions of PyTorch's: `perceptron` is the
op that a `Sequential` makes of linear layers. `as_they_are` are those made here of functions that have a policy, and
there are one op that has none, or (`update`, the walk) what is never cast: writes in place, gradients.
"""

from __future__ import annotations

from .policies import (
    Policy,
    as_state,
    as_they_are,
    lower,
    lower_sums,
    refused,
    single,
    single_borders,
    single_under_number,
    single_unless_told,
    single_windows,
    widest,
)

_BOTH: dict[Policy, dict[str, str]] = {
    lower: {
        "ops.activation": "prelu",
        "ops.attention": "scaled_dot_product_attention",
        "ops.conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
        "ops.linalg_products": "vecdot",
        "ops.matmul": "addbmm addmm baddbmm bmm linear matmul mm",
        "ops.perceptron": "perceptron",
        "ops.recurrent": "_lstm_layer _relu_layer _tanh_layer rnn_relu_cell rnn_tanh_cell",
    },
    single: {
        "ops.cross_entropy": "cross_entropy nll_loss",
        "ops.linalg_norm": "cdist",
        "ops.loss": """
            binary_cross_entropy_with_logits cosine_embedding_loss hinge_embedding_loss huber_loss kl_div l1_loss
            margin_ranking_loss mse_loss multi_margin_loss poisson_nll_loss smooth_l1_loss soft_margin_loss
            triplet_margin_loss
        """,
    },
    single_unless_told: {"ops.reduce": "prod"},
    as_they_are: {"engine": "_walk_in_mode", "inplace": "update write"},
}

_CPU: dict[Policy, dict[str, str]] = {
    lower: {"ops.einsum": "tensordot"},
    lower_sums: {"ops.einsum": "contract"},
    single: {
        "ops.grid": "grid_sample",
        "ops.linalg_decompose": "eigh eigvalsh linalg_qr linalg_svd lstsq matrix_rank pinverse qr svd svdvals",
        "ops.linalg_more": "tensorinv tensorsolve",
        "ops.linalg_products": "cond",
        "ops.linalg_solve": "cholesky cholesky_inverse cholesky_solve inv inverse linalg_cholesky solve",
        "ops.loss": "binary_cross_entropy",
        "ops.order": "nanquantile quantile",
        "ops.einsum": "trace",
    },
    single_borders: {"ops.pad": "_pad"},
    single_windows: {"ops.pool": "_adaptive_avg_pool _adaptive_max_pool _avg_pool _max_pool _scatter"},
    widest: {
        "ops.join": "cat stack",
        "ops.matmul": "addr",
        "ops.places": "index_copy",
    },
    as_state: {"ops.recurrent": "_gru_layer gru_cell lstm_cell"},
    as_they_are: {"ops.matmul": "addmv dot mv"},
}

_CUDA: dict[Policy, dict[str, str]] = {
    lower: {
        "ops.einsum": "einsum",
        "ops.linalg_products": "chain_matmul multi_dot",
        "ops.matmul": "addmv addr mv",
        "ops.recurrent": "_gru_layer gru_cell lstm_cell",
    },
    single: {
        "ops.activation": "softplus",
        "ops.arithmetic": "reciprocal",
        "ops.distance": "cosine_similarity normalize pairwise_distance",
        "ops.linalg_norm": "dist",
        "ops.loss": "multilabel_soft_margin_loss",
        "ops.normalization": "group_norm layer_norm rms_norm",
        "ops.power": "pow",
        "ops.reduce": "logsumexp",
        "ops.resample": "pick_pixels resample_along",
        "ops.special": "erfinv",
        "ops.unary": "acos asin cosh exp expm1 log log10 log1p log2 rsqrt sinh tan",
    },
    single_under_number: {"ops.arithmetic": "raw_div"},
    single_unless_told: {
        "ops.cumulative": "cumprod cumsum",
        "ops.linalg_norm": "matrix_norm norm vector_norm",
        "ops.reduce": "sum",
        "ops.softmax": "log_softmax softmax",
    },
    widest: {
        "ops.arithmetic": "addcdiv addcmul",
        "ops.binary": "atan2",
        "ops.einsum": "bilinear tensordot",
        "ops.gather": "scatter_add",
        "ops.grid": "grid_sample",
        "ops.index": "index_put",
        "ops.linalg_products": "cross",
        "ops.matmul": "dot inner vdot",
    },
    refused: {"ops.loss": "binary_cross_entropy"},
    as_they_are: {
        "ops.binary": "ldexp",
        "ops.grid": "affine_grid",
        "ops.linalg_more": "vander",
        "ops.reduce": "nanmean nansum",
    },
}


def _by_place(*lists: dict[Policy, dict[str, str]]) -> dict[str, Policy]:
    return {
        f"{module}.{name}": policy
        for policies in lists
        for policy, modules in policies.items()
        for module, names in modules.items()
        for name in names.split()
    }


_ON = {"cpu": _by_place(_BOTH, _CPU), "cuda": _by_place(_BOTH, _CUDA)}

# Where a function lies -> its policies by device type.
POLICIES: dict[str, dict[str, Policy]] = {
    place: {device: policies[place] for device, policies in _ON.items() if place in policies}
    for place in sorted({*_ON["cpu"], *_ON["cuda"]})
}
