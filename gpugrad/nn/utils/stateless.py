"""`functional_call` where PyTorch had it first; `gpugrad.func` has it as well."""

from ...func import functional_call as functional_call

__all__ = ["functional_call"]
