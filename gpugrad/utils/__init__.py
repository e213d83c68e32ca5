"""What surrounds training: data loading, activation checkpointing."""

from typing import TYPE_CHECKING, Any

from . import data

if TYPE_CHECKING:
    from . import checkpoint as checkpoint

__all__ = ["checkpoint", "data"]


def __getattr__(name: str) -> Any:
    """`gpugrad.utils.checkpoint` is there without being imported, as in PyTorch, and loaded when it is asked for."""
    if name == "checkpoint":
        import importlib

        return importlib.import_module(".checkpoint", __name__)
    raise AttributeError(f"module 'gpugrad.utils' has no attribute {name!r}")
