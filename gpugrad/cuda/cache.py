"""Where compiled kernels are kept."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """`$GPUGRAD_CACHE`, or gpugrad's part of the user's cache folder; it need not be there yet."""
    chosen = os.environ.get("GPUGRAD_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gpugrad"
