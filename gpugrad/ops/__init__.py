"""The ops, one file per family."""

from .activation import *
from .arithmetic import *
from .binary import *
from .compare import *
from .create import *
from .extrema import *
from .power import *
from .reduce import sum  # noqa
from .special import *
from .unary import *
