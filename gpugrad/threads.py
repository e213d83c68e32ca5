"""How many threads the matrix products of NumPy use on the CPU: a question to the BLAS library that is loaded."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

# What a BLAS calls the question, and with "set" for "get" the order; NumPy's own OpenBLAS has prefix and suffix.
_QUESTIONS = (
    *("scipy_openblas_get_num_threads64_", "scipy_openblas_get_num_threads", "openblas_get_num_threads64_"),
    *("openblas_get_num_threads", "MKL_Get_Max_Threads", "bli_thread_get_num_threads"),
)
_ORDERS = {"MKL_Get_Max_Threads": "MKL_Set_Num_Threads"}
_FILES = re.compile(r"/\S*(?:openblas|mkl_rt|libblis|flexiblas)\S*\.so\S*", re.IGNORECASE)


def loaded_blas() -> list[str]:
    """The BLAS libraries that this process has loaded; none are found where there is no /proc."""
    maps = Path("/proc/self/maps")
    return sorted({*_FILES.findall(maps.read_text())}) if maps.exists() else []


def _answering() -> tuple[Any, str] | None:
    """The library that can be asked, and the name of the question."""
    for file in loaded_blas():
        library = ctypes.CDLL(file)
        for question in _QUESTIONS:
            if hasattr(library, question):
                return library, question
    return None


def blas_threads() -> int | None:
    """The threads of matrix products, or None where no library can be asked."""
    found = _answering()
    return int(getattr(*found)()) if found else None


def get_num_threads() -> int:
    """The threads that matrix products may use on the CPU; all else here uses one, and so 1 where BLAS cannot be asked."""
    return blas_threads() or 1


def set_num_threads(threads: int) -> None:
    """Set how many threads matrix products may use on the CPU; without effect where BLAS cannot be told.

    RuntimeError for a number that is not positive, TypeError for what is no int.
    """
    if not isinstance(threads, int):
        raise TypeError(f"set_num_threads expects an int, but got {type(threads).__name__}")
    if threads <= 0:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {threads}")
    found = _answering()
    if found:
        library, question = found
        getattr(library, _ORDERS.get(question, question.replace("_get_", "_set_")))(threads)
