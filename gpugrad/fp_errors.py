"""Keep NumPy's floating-point warnings out of tensor arithmetic, as PyTorch does, and leave the user's own alone.

`np.errstate` does exactly this and costs 0.9 us a call; NumPy keeps that state in a context variable, and setting and
resetting it directly costs 0.1 us. Where NumPy does not expose the variable, `np.seterr` does the same more slowly.

    token = quiet(SILENT)
    try: ...
    finally: restore(token)
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    SILENT: Any = _make_extobj(all="ignore")
    quiet = _extobj_contextvar.set
    restore = _extobj_contextvar.reset
except ImportError:
    SILENT = {"all": "ignore"}

    def quiet(settings: Any) -> Any:
        """Silence floating-point warnings; returns what `restore` needs."""
        return np.seterr(**settings)

    def restore(token: Any) -> None:
        """Undo `quiet`."""
        np.seterr(**token)
