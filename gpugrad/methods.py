"""The methods of Tensor, put together from one file per family; each is a typed one-liner onto an op."""

from __future__ import annotations

from .methods_autograd import AutogradMethods
from .methods_create import CreateMethods
from .methods_elementwise import ElementwiseMethods
from .methods_exchange import ExchangeMethods
from .methods_index import IndexMethods
from .methods_linalg import LinalgMethods
from .methods_more import MoreMethods
from .methods_nn import NnMethods
from .methods_random import RandomMethods
from .methods_reduce import ReduceMethods
from .methods_shape import ShapeMethods


class Methods(
    ShapeMethods,
    AutogradMethods,
    CreateMethods,
    ElementwiseMethods,
    ExchangeMethods,
    IndexMethods,
    LinalgMethods,
    MoreMethods,
    NnMethods,
    RandomMethods,
    ReduceMethods,
):
    """Everything a Tensor can do; `core.Tensor` adds the state."""

    __slots__ = ()
