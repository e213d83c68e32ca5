"""Views after their base was written in place.

A view remembers its base and the op that made it. When memory shared by a family of views has been written, a view's
place on the tape may be out of date; it is made anew, from the base's new place, the next time the view is used.
"""

from __future__ import annotations

from typing import Any

from .hooks import move_retained
from .modes import enable_grad


def resync(view: Any) -> None:
    """Bring the tape place of `view` up to date with writes to the memory it shares."""
    stale = [view]  # then what it is a view of, as far as that is out of date too: no recursion, views may be deep
    while (base := stale[-1]._base)._base is not None and base._written[0] > base._synced:
        stale.append(base)
    while stale:
        _resync_from_base(stale.pop())


def _resync_from_base(view: Any) -> None:
    is_leaf = view._requires_grad and view._node is None
    if view._view is None or is_leaf:  # made under no_grad, or made a leaf by requires_grad_(): it stays as it is
        view._synced = view._written[0]
        return
    op, params = view._view
    with enable_grad():
        fresh = op.function(view._base, **params)
    check_same_place(fresh._array, view._array)
    view._synced = view._written[0]
    move_retained(view, view._node, fresh._node)
    view._node, view._requires_grad = fresh._node, fresh._requires_grad


def lineage(view: Any) -> tuple[Any, tuple[tuple[Any, dict[str, Any]], ...]]:
    """The root of `view` and the steps (op, params) that lead from the root to it."""
    steps: list[tuple[Any, dict[str, Any]]] = []
    tensor = view
    while tensor._base is not None:
        steps.append(tensor._view)
        tensor = tensor._base
    return tensor, tuple(reversed(steps))


def follow(x: Any, steps: tuple[tuple[Any, dict[str, Any]], ...]) -> Any:
    """Take the same view of `x` (a Tensor or an array)."""
    for op, params in steps:
        x = op.function(x, **params)
    return x


def address(array: Any) -> int:
    """Where the first element of `array` lies."""
    interface = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    return interface["data"][0]


def check_same_place(found: Any, view: Any) -> None:
    """RuntimeError unless the view taken anew, `found`, is the memory that `view` is."""
    if found.shape == view.shape and (
        view.size == 0 or (found.strides == view.strides and address(found) == address(view))
    ):
        return
    raise RuntimeError(
        "a view is used after the tensor it was taken from changed its shape or strides in place (as t_() and "
        "unsqueeze_() do): take the view again"
    )
