"""Which names of `ops` are loaded when a program first asks for one, and which `gpugrad` does not export."""

from __future__ import annotations

# Families that most programs never call, or call only through `nn`. Their modules must not be called like an op: once
# such a module is loaded, it would stand in the place of the function.
_FAMILIES = {
    "activation": """
        celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish prelu relu relu6
        rrelu selu silu softplus softshrink softsign tanhshrink threshold
    """,
    "attention": "scaled_dot_product_attention",
    "binary": "arctan2 atan2 copysign gcd heaviside hypot lcm ldexp logaddexp logaddexp2 nextafter",
    "conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d fold unfold",
    "cumulative": "cummax cummin cumprod cumsum cumulative_trapezoid diff logcumsumexp trapezoid trapz",
    "distance": "cosine_similarity normalize pairwise_distance",
    "linalg_decompose": "pinverse qr svd",
    "linalg_determinant": "det logdet slogdet",
    "linalg_more": "matrix_exp vander",
    "linalg_norm": "cdist dist norm",
    "linalg_products": "chain_matmul cross kron matrix_power",
    "linalg_solve": "cholesky cholesky_inverse cholesky_solve inverse",
    "loss": """
        binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss gaussian_nll_loss
        hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss
        multilabel_soft_margin_loss poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss
        triplet_margin_with_distance_loss
    """,
    "normalization": "batch_norm group_norm instance_norm layer_norm rms_norm",
    "order": "median mode nanmedian nanquantile quantile",
    "places": "index_add index_copy index_fill index_select masked_fill masked_scatter masked_select put take",
    "pool": """
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
        adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d max_pool1d
        max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices
        max_unpool1d max_unpool2d max_unpool3d
    """,
    "random": "bernoulli multinomial normal poisson rand rand_like randint randint_like randn randn_like randperm",
    "rearrange": """
        block_diag cartesian_prod clone combinations flip fliplr flipud meshgrid repeat_interleave roll rot90
        tile tril tril_indices triu triu_indices
    """,
    "recurrent": "gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell",
    "resample": "channel_shuffle interpolate pixel_shuffle pixel_unshuffle upsample upsample_bilinear upsample_nearest",
    "sets": "diagonal_scatter isin range select_scatter slice_scatter unravel_index",
    "special": """
        digamma entr erf erfc erfcx erfinv i0 i0e i1 i1e lgamma log_ndtr logit multigammaln mvlgamma ndtr ndtri
        polygamma sinc xlog1py xlogy zeta
    """,
    "statistics": "bincount corrcoef cov histc histogram std std_mean var var_mean",
    "strided": "as_strided diag diag_embed diagflat diagonal",
}

# PyTorch has these not at its top level but in `nn.functional` or `special` (the first lists), or there with other
# arguments (the last one: see `gpugrad/toplevel.py`).
_ELSEWHERE = """
adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d avg_pool2d avg_pool3d
binary_cross_entropy elu fold gaussian_nll_loss gelu glu hardsigmoid hardswish hardtanh huber_loss interpolate l1_loss
leaky_relu linear logsigmoid lp_pool1d lp_pool2d max_pool2d_with_indices max_pool3d_with_indices max_unpool1d
max_unpool2d max_unpool3d mish mse_loss multi_margin_loss multilabel_soft_margin_loss normalize relu6
scaled_dot_product_attention silu smooth_l1_loss soft_margin_loss softmin softplus softshrink softsign tanhshrink
triplet_margin_with_distance_loss unfold upsample upsample_bilinear upsample_nearest

entr erfcx i0e i1 i1e log_ndtr multigammaln ndtr ndtri view_as xlog1py zeta

batch_norm binary_cross_entropy_with_logits cosine_embedding_loss group_norm hinge_embedding_loss instance_norm kl_div
layer_norm margin_ranking_loss poisson_nll_loss rrelu triplet_margin_loss
"""

LATER = {name: family for family, names in _FAMILIES.items() for name in names.split()}
ELSEWHERE = frozenset(_ELSEWHERE.split())

__all__ = ["ELSEWHERE", "LATER"]
