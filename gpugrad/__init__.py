from . import ops  # before core: the methods of Tensor name it
from .core import Tensor, wrap
from .ops import *
from .ops.operators import OPERATORS

for _name, _function in OPERATORS.items():
    setattr(Tensor, _name, _function)
