"""Everything that is known, as a dict and as text. A question that fails is answered with its error: none stops another."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import libraries, machine

_ROOT = Path(__file__).parents[1]
_SETTINGS = re.compile(r"(GPUGRAD|CUDA|CUPY|NVMATH|NUMPY|OMP|OPENBLAS|MKL|BLIS)_\w+|CXX|XDG_CACHE_HOME")


def gpugrad() -> dict[str, Any]:
    """The version, and where the package and its kernels lie."""
    from ..cuda.module import folder

    found = {"version": libraries.version_of("gpugrad"), "package": str(_ROOT), "kernels": str(folder())}
    if (_ROOT.parent / ".git").exists():
        command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
        found["commit"] = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    return found


def cuda() -> dict[str, Any]:
    """The CUDA devices, real or simulated."""
    from .. import cuda as device
    from ..cuda import backend

    driver = Path("/proc/driver/nvidia/version")
    found: dict[str, Any] = {
        "available": device.is_available(),
        "simulated": backend.simulated(),
        "kernel module": driver.read_text().splitlines()[0] if driver.exists() else None,
    }
    if not device.is_available():
        cupy = importlib.util.find_spec("cupy") is not None
        found["why"] = "no NVIDIA GPU with its driver was found" if cupy else "CuPy is not installed"
        return found
    runtime = backend.cupy().cuda.runtime
    found |= {"driver supports": runtime.driverGetVersion(), "runtime": runtime.runtimeGetVersion()}
    found["devices"] = [_device(i) for i in range(device.device_count())]
    return found


def _device(index: int) -> dict[str, Any]:
    from ..cuda import get_device_properties

    known = get_device_properties(index)
    return {
        "name": known.name,
        "compute capability": f"{known.major}.{known.minor}",
        "memory": known.total_memory,
        "multiprocessors": known.multi_processor_count,
    }


def simulator() -> dict[str, Any]:
    """Whether the simulator is on, whether it could be, and its settings."""
    from ..cuda import backend
    from ..cuda.simulator import build, settings

    found: dict[str, Any] = {"on": backend.simulated()}
    try:
        found["compiler"] = build.find_compiler().version
    except RuntimeError as error:
        found["cannot run"] = str(error)
    return found | {"mode": settings.mode(), "seed": settings.seed(), "memory": settings.memory()}


def caches() -> dict[str, Any]:
    """Where compiled kernels are kept, and how much of them."""
    from ..cuda.cache import folder

    of_cupy = os.environ.get("CUPY_CACHE_DIR") or Path.home() / ".cupy" / "kernel_cache"
    own = folder()
    return {"simulator": _folder(own / "simulator"), "device": _folder(own / "cubins"), "CuPy": _folder(Path(of_cupy))}


def _folder(path: Path) -> dict[str, Any]:
    files = size = 0
    for where, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(os.path.join(where, name)).st_size
            except OSError:  # another process was faster
                continue
            files += 1
    return {"folder": str(path), "files": files, "bytes": size}


def environment() -> dict[str, str]:
    """The environment variables that change what gpugrad does."""
    return {name: value for name, value in sorted(os.environ.items()) if _SETTINGS.fullmatch(name)}


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "gpugrad": gpugrad,
    "Python": machine.python,
    "processor": machine.processor,
    "BLAS": machine.blas,
    "libraries": libraries.packages,
    "CUDA": cuda,
    "CUDA libraries": libraries.shared_libraries,
    "simulator": simulator,
    "compilers": machine.compilers,
    "caches": caches,
    "environment": environment,
}


def collect() -> dict[str, Any]:
    """Section -> what is known. A section that could not be asked is {"error": what happened}."""
    return {name: _asked(section) for name, section in SECTIONS.items()}


def _asked(section: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return section()
    except Exception as error:  # a report on a broken installation is the one most needed
        return {"error": f"{type(error).__name__}: {error}"}


def text(found: dict[str, Any]) -> str:
    """The sections as lines to read."""
    lines = []
    for name, section in found.items():
        lines.append(name)
        width = max(map(len, section), default=0)
        lines += [f"  {key:{width}}  {_value(key, value)}" for key, value in section.items()] or ["  none"]
    return "\n".join(lines)


def _value(key: str, value: Any) -> str:
    if isinstance(value, dict) and "version" in value:
        return _installed(value) if value["version"] else _missing(value)
    if isinstance(value, dict) and "file" in value:
        return value["file"] or _missing(value)
    if isinstance(value, dict):
        return ", ".join(_value(k, v) if k in ("name", "folder") else f"{k} {_value(k, v)}" for k, v in value.items())
    if isinstance(value, list):
        return "; ".join(_value(key, v) for v in value) or "none"
    if key in ("memory", "bytes") and isinstance(value, int):
        return f"{value / 2**20:,.1f} MiB"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return str(value)


def _installed(entry: dict[str, Any]) -> str:
    others = f"; also installed: {', '.join(entry['also installed'])}" if "also installed" in entry else ""
    return f"{entry['version']} ({entry['distribution']}{others})"


def _missing(entry: dict[str, Any]) -> str:
    purpose = f" (for {entry['for']})" if "for" in entry else ""
    return f"missing{purpose}: {entry['supplied by']}"
