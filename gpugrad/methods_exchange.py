"""Tensor methods: memory shared with other libraries and between streams, page-locked memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core import Tensor


class ExchangeMethods:
    """What other libraries ask of a tensor."""

    __slots__ = ()

    def __dlpack__(self: Any, **options: Any) -> Any:
        """The memory as a DLPack capsule. BufferError for a tensor that requires grad."""
        if self._requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self: Any) -> Any:
        return self._array.__dlpack_device__()

    @property
    def __cuda_array_interface__(self: Any) -> dict[str, Any]:
        """Where a CUDA tensor lies, for CuPy, Numba and others. AttributeError for a tensor on the CPU.

        RuntimeError for one that requires grad.
        """
        found = getattr(self._array, "__cuda_array_interface__", None)
        if found is None:
            raise AttributeError("Can't get __cuda_array_interface__ on non-CUDA tensor; move it with .cuda() first")
        if self._requires_grad:
            raise RuntimeError(
                "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients aren't required, use "
                "var.detach() to get Variable that doesn't require grad."
            )
        return found

    def pin_memory(self: Any) -> Tensor:
        """A copy in page-locked memory, from which copies to a CUDA device are faster; itself if it is there.

        RuntimeError for a tensor on a CUDA device, or if there is none.
        """
        from .core import wrap
        from .cuda import backend

        if self.is_cuda:
            raise RuntimeError(f"cannot pin '{self.type()}' on {self.device}: only dense CPU tensors can be pinned")
        backend.require()
        from .cuda import pinned

        return self if pinned.holds(self._array) else wrap(pinned.copied(self._array))

    def is_pinned(self: Any, device: Any = None) -> bool:
        """Whether the tensor lies in page-locked memory."""
        from .cuda import backend

        if not backend.is_ready():
            return False
        from .cuda import pinned

        return pinned.holds(self._array)

    def record_stream(self: Any, stream: Any) -> None:
        """Say that `stream`, which is not the one the tensor was made on, works with it.

        Its memory is then used for no other tensor before what the stream has been given up to the moment when the
        tensor is gone is done. NotImplementedError for a tensor on the CPU, TypeError for what is no stream.
        """
        if not self.is_cuda:
            raise NotImplementedError(
                f"record_stream(): the tensor is on {self.device}, and only CUDA has streams; move it with .cuda() first"
            )
        from .cuda.lifetime import record_stream
        from .cuda.streams import Stream

        if not isinstance(stream, Stream):
            raise TypeError(f"record_stream(): expected a gpugrad.cuda.Stream, got {type(stream).__name__}")
        root = self
        while root._base is not None:
            root = root._base
        record_stream(root._array, stream)
