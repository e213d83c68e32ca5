"""`gpugrad.cpu`: the CPU's namespace, as far as programs for every device ask for it."""

from . import amp as amp

__all__ = ["amp"]
