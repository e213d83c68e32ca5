from .core import Tensor, wrap
from . import ops
from .ops.arithmetic import *
