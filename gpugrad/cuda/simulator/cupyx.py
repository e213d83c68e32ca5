"""`cupyx`: what gpugrad uses of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_state = threading.local()


def linalg_errors() -> str:
    """What becomes of a factorization that failed: "ignore", as by default, or "raise"."""
    return getattr(_state, "linalg", "ignore")


@contextmanager
def errstate(
    *, divide: Any = None, over: Any = None, under: Any = None, invalid: Any = None, linalg: str | None = None
) -> Iterator[None]:
    """Within it factorizations raise LinAlgError, for which they wait for the device, with `linalg="raise"`."""
    if any(option is not None for option in (divide, over, under, invalid)):
        raise NotImplementedError
    if linalg not in (None, "ignore", "raise"):
        raise NotImplementedError(f"linalg={linalg!r}: only 'ignore' and 'raise' are supported")
    before, _state.linalg = linalg_errors(), linalg or linalg_errors()
    try:
        yield
    finally:
        _state.linalg = before


__all__ = ["errstate"]
