"""Hooks by number, and the handle that takes one away."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away; also a context manager."""

    _next = 0

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = weakref.ref(hooks) if isinstance(hooks, _Hooks) else lambda: hooks
        RemovableHandle._next += 1
        self.id = RemovableHandle._next

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class _Hooks(dict[int, Any]):
    """Hooks by number, in order; can be referred to weakly."""

    __slots__ = ("__weakref__",)


def add_hook(hooks: _Hooks, hook: Callable[..., Any]) -> RemovableHandle:
    """Put `hook` in `hooks`."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def move_retained(tensor: Any, old: Any, new: Any) -> None:
    """Let `retain_grad` of `tensor`, which was at the node `old`, follow it to `new`, its place after a write."""
    if old is None or old is new or old.extra is None:
        return
    retained = old.extra.get("retained")
    if retained is None or retained() is not tensor:
        return
    del old.extra["retained"]
    if new is not None:
        if new.extra is None:
            new.extra = {}
        new.extra["retained"] = retained
