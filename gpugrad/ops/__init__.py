"""The ops, one file per family."""

from .activation import *
from .arithmetic import *
from .attention import *
from .binary import *
from .compare import *
from .conv import *
from .create import *
from .cross_entropy import *
from .cumulative import *
from .distance import *
from .dropout import *
from .einsum import *
from .embedding import *
from .extrema import *
from .gather import *
from .index import *
from .join import *
from .linalg_decompose import *
from .linalg_norm import *
from .linalg_products import *
from .linalg_solve import *
from .loss import *
from .matmul import *
from .normalization import *
from .order import *
from .pad import *
from .places import *
from .pool import *
from .power import *
from .random import *
from .rearrange import *
from .reduce import *
from .reduce_extrema import *
from .resample import *
from .shape import *
from .softmax import *
from .sort import *
from .special import *
from .statistics import *
from .strided import *
from .unary import *

# PyTorch has these not at its top level but in `nn.functional` or `special` (the first lists), or there with other
# arguments (the last one: see `gpugrad/toplevel.py`).
_ELSEWHERE = """
adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d avg_pool2d avg_pool3d
binary_cross_entropy cross_entropy dropout1d dropout2d dropout3d elu fold gaussian_nll_loss gelu glu hardsigmoid
hardswish hardtanh huber_loss interpolate l1_loss leaky_relu linear logsigmoid lp_pool1d lp_pool2d
max_pool2d_with_indices max_pool3d_with_indices max_unpool1d max_unpool2d max_unpool3d mish mse_loss
multi_margin_loss multilabel_soft_margin_loss nll_loss normalize one_hot pad relu6 scaled_dot_product_attention silu
smooth_l1_loss soft_margin_loss softmin softplus softshrink softsign tanhshrink triplet_margin_with_distance_loss
unfold upsample upsample_bilinear upsample_nearest

entr erfcx i0e i1 i1e log_ndtr multigammaln ndtr ndtri view_as xlog1py zeta

alpha_dropout batch_norm binary_cross_entropy_with_logits cosine_embedding_loss dropout embedding
feature_alpha_dropout group_norm hinge_embedding_loss instance_norm kl_div layer_norm margin_ranking_loss
poisson_nll_loss rrelu triplet_margin_loss
"""

# What `gpugrad` exports. Not the modules: some share their name with a namespace of gpugrad.
_hidden = frozenset(_ELSEWHERE.split())
__all__ = [name for name, value in tuple(globals().items()) if callable(value) and name not in _hidden]
