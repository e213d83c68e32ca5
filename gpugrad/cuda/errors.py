"""Errors of the CUDA device."""

from __future__ import annotations


class OutOfMemoryError(RuntimeError):
    """The device has no room for an array; the next operation may succeed."""
