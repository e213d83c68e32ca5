"""Libraries that gpugrad uses: which are there, in which version, and what supplies those that are not."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Library(NamedTuple):
    """Distributions of which any one will do, the first preferred; what they are for, and what installs them."""

    distributions: tuple[str, ...]
    purpose: str
    supplied_by: str


_CUDA = 'pip install "gpugrad[cuda13]", or [cuda12] by the driver'
PACKAGES = {
    "numpy": Library(("numpy",), "arrays on the CPU", "pip install numpy"),
    "ml_dtypes": Library(("ml_dtypes",), "bfloat16", "pip install ml_dtypes"),
    "cupy": Library(("cupy-cuda13x", "cupy-cuda12x", "cupy"), "arrays on the GPU", _CUDA),
    "nvmath": Library(("nvmath-python",), "matrix products on the GPU", _CUDA),
    "cuda-bindings": Library(("cuda-bindings",), "the CUDA API, for nvmath", _CUDA),
    "rich": Library(("rich",), "progress of gpugrad train", 'pip install "gpugrad[train]"'),
    "matplotlib": Library(("matplotlib",), "curves of gpugrad train", 'pip install "gpugrad[train]"'),
    "tensorboardX": Library(("tensorboardX",), "utils.tensorboard", 'pip install "gpugrad[tensorboard]"'),
    "torch": Library(("torch",), "what gpugrad bench compares with", "pip install torch"),
}
# Shared libraries of CUDA: what a file is called, and what supplies it.
FILES = {
    "driver": ("libcuda.so.1", "the NVIDIA driver"),
    "cublasLt": ("libcublasLt.so", _CUDA),
    "nvrtc": ("libnvrtc.so", _CUDA),
    "cudart": ("libcudart.so", _CUDA),
}


def packages() -> dict[str, Any]:
    """Each Python library: its version, or None and what installs it."""
    found = {}
    for name, library in PACKAGES.items():
        at_hand = [(d, v) for d in library.distributions if (v := version_of(d)) is not None]
        entry: dict[str, Any] = {"version": at_hand[0][1] if at_hand else None, "for": library.purpose}
        entry |= {"distribution": at_hand[0][0]} if at_hand else {"supplied by": library.supplied_by}
        if len(at_hand) > 1:  # two of CuPy in one environment break each other
            entry["also installed"] = [d for d, _ in at_hand[1:]]
        found[name] = entry
    return found


def version_of(distribution: str) -> str | None:
    """The version that is installed, None if it is not."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def shared_libraries() -> dict[str, Any]:
    """Where each shared library of CUDA lies, or None and what supplies it."""
    known = _known_to_the_loader()
    found = {}
    for name, (file, supplier) in FILES.items():
        path = next(iter(_in_folders(file)), None) or next((known[n] for n in known if n.startswith(file)), None)
        found[name] = {"file": path} if path else {"file": None, "supplied by": supplier}
    return found


def _in_folders(file: str) -> list[str]:
    """In NVIDIA's wheels, and in a toolkit that was installed."""
    roots = [Path(entry or ".") for entry in sys.path]
    found = [p for root in roots for p in root.glob(f"nvidia/*/lib/{file}*")]
    for toolkit in (os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME"), "/usr/local/cuda"):
        if toolkit:
            found += Path(toolkit).glob(f"lib*/{file}*")
    return [str(p) for p in found]


def _known_to_the_loader() -> dict[str, str]:
    """File name -> path, of the libraries in the loader's cache."""
    tool = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if tool is None:
        return {}
    done = subprocess.run([tool, "-p"], capture_output=True, text=True, timeout=10)
    return {name: path for name, path in re.findall(r"^\s*(\S+) \(.*\) => (\S+)$", done.stdout, re.M)}
