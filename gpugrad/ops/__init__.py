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

# Everything but the modules: some share their name with a namespace of gpugrad.
__all__ = [name for name, value in tuple(globals().items()) if callable(value)]
