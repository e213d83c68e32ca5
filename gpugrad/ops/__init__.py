"""The ops, one file per family."""

from .activation import *
from .arithmetic import *
from .binary import *
from .compare import *
from .create import *
from .einsum import *
from .extrema import *
from .join import *
from .matmul import *
from .power import *
from .random import *
from .rearrange import *
from .reduce import *
from .shape import *
from .special import *
from .strided import *
from .unary import *

# Everything but the modules: some share their name with a namespace of gpugrad.
__all__ = [name for name, value in tuple(globals().items()) if callable(value)]
