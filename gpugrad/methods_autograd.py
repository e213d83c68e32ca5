"""Tensor methods: gradients, and a tensor's place on the tape."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .dtypes import FLOATS
from .hooks import RemovableHandle, _Hooks, add_hook

if TYPE_CHECKING:
    from .core import Tensor


@functools.cache
def _engine() -> Any:
    """The module `engine`, which needs this one; an import statement in a method takes 2 us each time."""
    from . import engine

    return engine


def _resync(tensor: Any) -> None:
    from .views import resync

    resync(tensor)


class AutogradMethods:
    """What a tensor records, its gradient, and the hooks on it."""

    __slots__ = ()

    @property
    def requires_grad(self) -> Any:
        if self._base is not None and self._written[0] > self._synced:
            _resync(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: Any) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: Any = True) -> Tensor:
        """Start or stop wanting a gradient. RuntimeError for integers, or for a result that is not a leaf."""
        if requires_grad and self._array.dtype not in FLOATS:
            raise RuntimeError(f"only Tensors of floating point dtype can require gradients, this one is {self.dtype}")
        if self._node is not None and not requires_grad:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        self._requires_grad = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> Any:
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Any:
        if self._base is not None and self._written[0] > self._synced:
            _resync(self)
        return self._node

    @property
    def grad(self) -> Tensor | None:
        if self._grad is None and self._node is not None and not self.retains_grad:
            import warnings

            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't "
                "be populated during autograd.backward(). If you indeed want the .grad field to be populated for a "
                "non-leaf Tensor, use .retain_grad() on the non-leaf Tensor.",
                UserWarning,
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not hasattr(value, "_array"):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value._array.shape != self._array.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: {list(value._array.shape)}, expected "
                    f"{list(self._array.shape)}"
                )
            if value._array.dtype is not self._array.dtype:
                raise RuntimeError(f"assigned grad has data of a different type: {value.dtype}, expected {self.dtype}")
            if type(value._array) is not type(self._array):
                raise RuntimeError(f"assigned grad has data located on a different device: {value.device}")
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def data(self) -> Tensor:
        """The same memory, off the tape, with a version of its own: writes to it are not noticed."""
        from .core import wrap

        return wrap(self._array)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not hasattr(value, "_array"):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        self._array = value._array

    def detach(self) -> Tensor:
        """The same memory, off the tape; writes to it are noticed by nodes that saved it."""
        from .core import wrap

        tensor = wrap(self._array)
        tensor._written = self._written
        return tensor

    def detach_(self) -> Tensor:
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node, self._requires_grad = None, False
        return self

    @property
    def output_nr(self) -> Any:
        return 0

    @property
    def _version(self) -> Any:
        """How often the memory of this tensor has been written in place, through it or through its views."""
        return self._written[1]

    def backward(
        self, gradient: Tensor | None = None, retain_graph: Any = None, create_graph: Any = False, inputs: Any = None
    ) -> None:
        """Add the gradients of this tensor to `.grad` of the leaves it was computed from; see `autograd.backward`."""
        _engine().backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(grad)` whenever the gradient of this tensor is computed; what it returns replaces it."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._node is None:
            if self._hooks is None:
                self._hooks = _Hooks()
            return add_hook(self._hooks, hook)
        if self._node.extra is None:
            self._node.extra = {}
        return add_hook(self._node.extra.setdefault("hooks", _Hooks()), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(tensor)` after `.grad` of this leaf has been updated."""
        if not self.requires_grad or self._node is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if self._hooks is None:
            self._hooks = _Hooks()  # the engine looks for both kinds of hooks where this is not None
        return add_hook(self.__dict__.setdefault("_post_accumulate_hooks", _Hooks()), hook)

    def retain_grad(self) -> None:
        """Keep `.grad` of this result too."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._node is not None:
            if self._node.extra is None:
                self._node.extra = {}
            self._node.extra["retained"] = weakref.ref(self)

    @property
    def retains_grad(self) -> Any:
        node = self._node
        if node is None or node.extra is None:
            return False
        retained = node.extra.get("retained")
        return retained is not None and retained() is self

    def is_inference(self) -> Any:
        return False
