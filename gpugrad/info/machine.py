"""The machine: Python, processor, BLAS and its threads, compilers."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..threads import blas_threads, loaded_blas


def python() -> dict[str, Any]:
    """The interpreter and the system it runs on."""
    return {
        "version": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": sys.executable,
        "system": platform.platform(),
    }


def processor() -> dict[str, Any]:
    """The processor, and how much of the machine this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {"model": _model(), "cores": os.cpu_count(), "cores usable": usable}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found["memory"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return found


def _model() -> str:
    file = Path("/proc/cpuinfo")
    found = re.search(r"^(?:model name|Model|Processor)\s*:\s*(.+)$", file.read_text(), re.M) if file.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def blas() -> dict[str, Any]:
    """The library behind NumPy's matrix products, and the threads it uses: None where it cannot be asked."""
    build: Any = np.show_config(mode="dicts")
    about = build.get("Build Dependencies", {}).get("blas", {})
    files = loaded_blas()
    return {
        "library": about.get("name", "unknown"),
        "version": about.get("version", "unknown"),
        "threads": blas_threads(),
        "file": files[0] if files else None,
    }


def compilers() -> dict[str, str]:
    """The first line of what each compiler says of itself, or that it is missing."""
    return {name: _said_by(name) for name in (os.environ.get("CXX"), "g++", "clang++", "nvcc") if name}


def _said_by(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        return "missing"
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10)
    lines = [line for line in done.stdout.splitlines() if re.search(r"\d+\.\d", line)]
    return f"{lines[0].strip() if lines else 'version unknown'} ({path})"
