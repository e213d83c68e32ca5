"""`gpugrad.backends.mps`: Apple's GPUs, which gpugrad does not compute on."""

from __future__ import annotations


def is_built() -> bool:
    """Whether gpugrad can compute on Apple's GPUs: no."""
    return False


def is_available() -> bool:
    """Whether there is such a GPU that gpugrad can compute on: no."""
    return False


__all__ = ["is_available", "is_built"]
