"""Plugin of pytest: tests of the CUDA device on CuPy itself, above the stand-in for CUDA's driver; see attach.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from attach import attach

folder = Path(os.environ.get("GPUGRAD_STAND_IN", "/tmp/gpugrad-stand-in"))
folder.mkdir(exist_ok=True)
attach(folder)
if os.environ.get("GPUGRAD_STAND_IN_WITHOUT"):
    sys.modules[os.environ["GPUGRAD_STAND_IN_WITHOUT"]] = None  # type: ignore[assignment]
