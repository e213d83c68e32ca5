"""The backward walk: from cotangents of roots to gradients of leaves, without touching a leaf.

Gather the nodes that can be reached, take them latest first, hand each its cotangent, pass the results of its rules on
to its parents, and drop what it saved. Without recursion, so a chain may be as long as memory allows.

The same walk serves arrays (the fast backward) and Tensors (`create_graph=True`): rules are made of ops, and ops take
both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NoReturn

import numpy as np

from .core import Node, Tensor, last_write, wrap
from .device import ARRAY_TYPES, apart, array_device
from .op import PICK, pick, pick_hidden
from .ops.arithmetic import accumulate
from .ops.cast import cast
from .ops.one import own
from .ops.reduce import sum_to

Parent = Any  # a Node or a leaf Tensor
_by_seq = attrgetter("seq")


def walk(
    roots: Sequence[Parent],
    cotangents: Sequence[Any],
    targets: dict[Any, int] | None,
    create_graph: bool,
    keep: bool,
    anomaly: Any = None,
    retain: Callable[[Tensor, Any, bool], None] | None = None,
    ends: frozenset[Parent] = frozenset(),
) -> dict[Any, Any]:
    """Gradients of the leaves (or of `targets`, nodes or leaves) reached from `roots`, as arrays or Tensors.

    It ends at the nodes `ends` as at leaves: what led to them, and hooks on them, is left alone.

    `keep` leaves what the nodes saved in place, for another walk; `anomaly` checks every result (see `anomaly.py`);
    `retain` is given the cotangents of tensors that keep theirs.
    """
    pending: dict[Any, Any] = {}
    owned: set[Any] = set()  # whose pending sum is a buffer of our own, which may be added to in place
    for root, g in zip(roots, cotangents, strict=True):
        _add(pending, owned, root, g, create_graph)
    order = _gather(roots, ends)
    needed = None if targets is None else _needed(order, targets)
    written = bool(order) and last_write[0] > order[0].seq  # else nothing saved can have changed since
    found: dict[Any, Any] = {}
    while order:
        node = order.pop()
        g = pending.pop(node, None)
        if g is None:
            continue
        if node.extra is not None:
            g = _run_hooks(node, g, create_graph, retain)
        parents = node.parents
        if needed is not None:
            parents = _towards(node, g, targets, needed, found)
            if all(p is None for p in parents):
                continue  # its gradient was asked for, and nothing beyond: the rules do not run, nothing is freed
        op = node.op
        if op is PICK:
            if parents[0] is not None:
                _put_in_slot(pending, node, g, create_graph)
            continue
        saved = node.saved
        if saved is None:
            _refuse_freed(node)
        if written and last_write[0] > node.seq:
            _check_versions(node)
        if create_graph and saved:
            saved = _as_tensors(node)
        adds = op.add_into is not None and not create_graph
        results: Any = ()
        if not (adds and parents[0] in owned and anomaly is None and _added(pending, node, parents[0], g)):
            results = op.pull(parents, saved, node.params, g)
        if saved and not keep:
            node.saved = None
        for parent, r in zip(parents, results):  # generated to be of one length, or nothing is left to add
            if parent is None or r is None:
                continue
            like = parent if type(parent) is Node else parent._array
            array = r._array if create_graph else r
            if array.dtype is not like.dtype or array.shape != like.shape:
                r = _fit(node, parent, r, like.shape, like.dtype)
            if anomaly is not None:
                anomaly.check(node, r)
            if parent in pending:
                _add(pending, owned, parent, r, create_graph)
            else:
                pending[parent] = r
                if adds:
                    owned.add(parent)
    found.update(pending)  # only leaves and ends are left
    return found


def _refuse_freed(node: Node) -> NoReturn:
    raise RuntimeError(
        f"Trying to backward through the graph a second time ({node.name()}), but what it saved has already been "
        "freed. Specify retain_graph=True in the first backward or grad call if you need to go through it again."
    )


def _add(pending: dict[Any, Any], owned: set[Any], parent: Parent, g: Any, create_graph: bool) -> None:
    """Add `g` to the cotangent of `parent`: the first is taken as it is, the second makes a buffer of our own."""
    have = pending.get(parent)
    if have is None:
        pending[parent] = g
    elif type(have) is tuple:  # of a node with something hidden, whose cotangent came first
        pending[parent] = (g if have[0] is None else have[0] + g, *have[1:])
    elif parent in owned and not create_graph:
        accumulate(have, g)
    else:
        total = have + g
        pending[parent] = total
        if type(total) in ARRAY_TYPES and not isinstance(total, np.generic):
            owned.add(parent)


def _added(pending: dict[Any, Any], node: Node, parent: Parent, g: Any) -> bool:
    """Whether the gradient of a part was added in place to what its whole has; see `Op.defadd`."""
    total = pending[parent]
    return (
        type(total) is not tuple
        and total.flags.c_contiguous
        and node.op.add_into(total, node.saved, node.params, g) is not NotImplemented
    )


def _put_in_slot(pending: dict[Any, Any], node: Node, g: Any, create_graph: bool) -> None:
    """Hand the cotangent of one output to the node with several outputs."""
    (index,), (parent,) = node.params, node.parents
    slots = pending.get(parent)
    if parent.op.hidden:
        slots = slots if type(slots) is tuple else (slots, None)
    elif slots is None:
        slots = (None,) * len(parent.shape)
    value = g if slots[index] is None else slots[index] + g
    pending[parent] = (*slots[:index], value, *slots[index + 1 :])


def _towards(node: Node, g: Any, targets: Any, needed: set[Any], found: dict[Any, Any]) -> tuple[Parent, ...]:
    """The parents of `node` through which a target can be reached, None for the others; notes `g` if it is one itself."""
    if node in targets:
        seen = g[0] if node.op.hidden and type(g) is tuple else g  # what it hides has a cotangent of its own
        if seen is not None:
            found[node] = seen
    return tuple([p if p in needed else None for p in node.parents])


def _gather(roots: Sequence[Parent], ends: frozenset[Parent]) -> list[Node]:
    """All nodes reachable from `roots` before `ends`, in the order they were recorded."""
    stack = [root for root in roots if type(root) is Node and root not in ends]
    seen = set(stack)
    while stack:
        for parent in stack.pop().parents:
            if type(parent) is Node and parent not in seen and parent not in ends:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=_by_seq)


def boundary(roots: Sequence[Parent], since: int) -> list[Parent]:
    """What the gradients of `roots` go to that was there before `since`, a reading of the clock: leaves and nodes."""
    stack, seen, found = list(roots), set(roots), []
    while stack:
        place = stack.pop()
        if type(place) is not Node or place.seq < since:
            found.append(place)
            continue
        for parent in place.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return found


def _needed(order: list[Node], targets: dict[Any, int]) -> set[Any]:
    """The nodes and leaves through which a target can be reached."""
    needed: set[Any] = set(targets)
    for node in order:  # parents come before children
        if node not in needed and any(p in needed for p in node.parents if p is not None):
            needed.add(node)
    return needed


def _fit(node: Node, parent: Parent, r: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """What a rule returned, in the shape and dtype of the input it belongs to."""
    if r.shape != shape:
        r = _unbroadcast(node, parent, r, shape)
    return cast(r, dtype)


def _unbroadcast(node: Node, parent: Parent, r: Any, shape: tuple[int, ...]) -> Any:
    """Sum `r` back to the shape of the input it belongs to, if the op broadcasts; otherwise the rule is wrong."""
    if node.op.broadcasts:
        return sum_to(r, shape=shape)
    index = next(i for i, p in enumerate(node.parents) if p is parent)  # `==` of Tensors is elementwise
    name = node.op.names[0] if node.op.variadic else node.op.names[index]
    raise RuntimeError(
        f"the rule of {node.op.name} for {name!r} returned a gradient of shape {tuple(r.shape)}, but {name!r} has shape "
        f"{tuple(shape)}: fix the rule, or declare the op with broadcasts=True"
    )


def _check_versions(node: Node) -> None:
    for cell in _flat(node.cells):
        if cell is not None and cell[0] > node.seq:
            raise RuntimeError(
                f"one of the variables needed for gradient computation has been modified by an inplace operation: a "
                f"tensor saved by {node.op.name} ({node.name()}) is now at version {cell[1]}. Work on a clone(), or move "
                "the in-place operation; gpugrad.autograd.set_detect_anomaly(True) shows where it was recorded."
            )


def _flat(cells: Any) -> list[Any]:
    """Version cells without nesting: ops with several inputs or outputs save tuples of them."""
    flat: list[Any] = []
    for cell in cells:
        if cell is not None and cell and isinstance(cell[0], list | type(None)):
            flat.extend(cell)
        else:
            flat.append(cell)
    return flat


def _as_tensors(node: Node) -> tuple[Any, ...]:
    """What a node saved, as Tensors in their place on the tape: for gradients of gradients."""

    def tensor(array: Any, parent: Parent | None, cell: Any) -> Any:
        if type(array) not in ARRAY_TYPES:
            return array  # a Python scalar, a shape or None
        if type(parent) is Tensor or isinstance(parent, Tensor):
            return parent
        t = wrap(array)
        if parent is not None:
            t._node, t._requires_grad = parent, True
        if cell is not None:
            t._written = cell
        return t

    made: list[Any] = []
    several = node.op.outputs != 1
    for (source, index, _), value, cell in zip(node.op.saved, node.saved, node.cells, strict=True):
        if source == "in":
            made.append(tensor(value, node.parents[index], cell))
        elif source == "ins":
            made.append(tuple(map(tensor, value, node.parents, cell)))
        elif source == "out" and several and value is not None:
            made.append(tuple(tensor(v, pick(node, k), c) for k, (v, c) in enumerate(zip(value, cell, strict=True))))
        elif source == "out":
            made.append(tensor(value, node, cell))
        elif source == "hidden" and value and type(value[0]) in ARRAY_TYPES:
            made.append([tensor(value[0], pick_hidden(node, value[0]), None), *value[1:]])
        else:
            made.append(value)
    return tuple(made)


# --------------------------------------------------------------------------------------------------------- hooks


def _run_hooks(node: Node, g: Any, create_graph: bool, retain: Any) -> Any:
    """Run what users hung on the output of `node`: `register_hook` functions in order, then `retain_grad`."""
    assert node.extra is not None
    if node.op.hidden and type(g) is tuple:
        return (None if g[0] is None else _run_hooks(node, g[0], create_graph, retain), g[1])
    for hook in tuple(node.extra.get("hooks", {}).values()):
        g = call_hook(hook, g, create_graph)
    retained = node.extra.get("retained")
    tensor = retained() if retained is not None else None
    if tensor is not None and retain is not None:
        retain(tensor, g, create_graph)
    return g


def call_hook(hook: Callable[[Tensor], Any], g: Any, create_graph: bool) -> Any:
    """What a gradient hook makes of `g`; TypeError or RuntimeError for what cannot replace it."""
    result = hook(g if create_graph else wrap(_writeable(g)))
    if result is None:
        return g
    if not isinstance(result, Tensor):
        raise TypeError(f"a gradient hook must return a Tensor or None, got {type(result).__name__}")
    if tuple(result.shape) != tuple(g.shape):
        raise RuntimeError(f"hook has changed the size of value: from {tuple(g.shape)} to {tuple(result.shape)}")
    before = g._array if create_graph else g
    if apart(before, result._array):
        raise RuntimeError(f"hook has changed the device of value: from {array_device(before)} to {result.device}")
    return result if create_graph else result._array


def _writeable(g: Any) -> Any:
    """`g` as an array that a hook may write: NumPy's scalars and broadcast arrays are not, nor is what walks share."""
    if type(g) is np.ndarray:
        return g if g.flags.writeable else g.copy()
    return np.asarray(g) if isinstance(g, np.generic) else own(g)
