"""What `gpugrad.cuda` holds where there is no device, in the place of what is made of CuPy.

As in PyTorch, a program may name everything (in an annotation, in `isinstance`); questions about memory have an answer,
and the rest is a RuntimeError when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NoReturn

_ANSWERS: dict[str, Callable[[], Any]] = {
    "memory_allocated": int,
    "max_memory_allocated": int,
    "memory_reserved": int,
    "max_memory_reserved": int,
    "memory_stats": dict,
    "get_rng_state_all": list,
    "is_current_stream_capturing": bool,
    "seed": lambda: None,
    "seed_all": lambda: None,
}
_CLASSES = ("CUDAGraph", "Event", "Stream", "graph")


def refuse(name: str) -> NoReturn:
    """RuntimeError: `name` needs a device."""
    raise RuntimeError(f"gpugrad.cuda.{name}(): no CUDA device is available; ask gpugrad.cuda.is_available() first")


def stand_in(name: str) -> Any:
    """What `gpugrad.cuda.<name>` is."""
    if name == "default_generators":
        return ()
    if name in ("stream", "StreamContext"):
        return _no_stream
    if name in _CLASSES:
        return type(name, (), {"__new__": lambda cls, *args, **options: refuse(name), "__module__": "gpugrad.cuda"})
    answer = _ANSWERS.get(name)
    return (lambda *args, **options: refuse(name)) if answer is None else lambda device=None: answer()


def _no_stream(stream: Any) -> Any:
    """A context that does nothing: there can be no other stream than None."""
    return nullcontext() if stream is None else refuse("stream")


__all__ = ["refuse", "stand_in"]
