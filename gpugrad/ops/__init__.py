"""The ops, one file per family."""

from .activation import *
from .arithmetic import *
from .binary import *
from .compare import *
from .create import *
from .extrema import *
from .join import *
from .matmul import *
from .power import *
from .rearrange import *
from .random import *
from .reduce import sum  # noqa
from .shape import *
from .special import *
from .strided import *
from .unary import *

# Everything but the modules: some share their name with a namespace of gpugrad.
__all__ = [name for name, value in tuple(globals().items()) if callable(value)]
