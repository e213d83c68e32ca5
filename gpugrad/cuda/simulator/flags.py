"""What is said of the layout of a device array."""

from __future__ import annotations

from typing import Any


class Flags:
    """The flags that CuPy's arrays have: those of layout, and none of writing."""

    def __init__(self, flags: Any) -> None:
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = flags.owndata
        self.forc, self.fnc = flags.forc, flags.fnc
