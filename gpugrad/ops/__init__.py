"""The ops, one file per family.

Families that only `nn.functional` has are not here: it imports them from their own files.
"""

import typing

from .arithmetic import *
from .compare import *
from .create import *
from .einsum import *
from .extrema import *
from .gather import *
from .index import *
from .join import *
from .mask import *
from .matmul import *
from .names import ELSEWHERE, LATER
from .power import *
from .ranges import *
from .reduce import *
from .reduce_extrema import *
from .shape import *
from .softmax import *
from .sort import *
from .unary import *

# What `gpugrad` exports. Not the modules: some share their name with a namespace of gpugrad.
__all__ = [name for name, value in tuple(globals().items()) if callable(value) and name not in ELSEWHERE]

if typing.TYPE_CHECKING:
    from .activation import *
    from .attention import *
    from .binary import *
    from .conv import *
    from .cumulative import *
    from .distance import *
    from .linalg_decompose import *
    from .linalg_determinant import *
    from .linalg_more import *
    from .linalg_norm import *
    from .linalg_products import *
    from .linalg_solve import *
    from .loss import *
    from .normalization import *
    from .order import *
    from .places import *
    from .pool import *
    from .random import *
    from .rearrange import *
    from .recurrent import *
    from .resample import *
    from .sets import *
    from .special import *
    from .statistics import *
    from .strided import *
else:

    def __getattr__(name: str) -> typing.Any:
        """Load the family of an op when the op is first asked for, so that `import gpugrad` stays quick."""
        from importlib import import_module

        if name in LATER.values():  # a family itself, of which a method uses what is not exported
            return import_module(f".{name}", __name__)
        if name not in LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{LATER[name]}", __name__), name)
        return value
