"""The backward walk: `backward`, `grad`, hooks.

Gather the nodes that can be reached, take them latest first, hand each its cotangent, pass the results of its rules on
to its parents, and drop what it saved. Without recursion, so a chain may be as long as memory allows. Gradients of
leaves are collected and stored at the very end: an error in the middle changes no `.grad`.

The same walk serves arrays (the fast backward) and Tensors (`create_graph=True`): rules are made of ops, and ops take
both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from .core import Node, Tensor, last_write, wrap
from .device import ARRAY_TYPES
from .fp_errors import SILENT, quiet, restore
from .modes import enable_grad, no_grad, state
from .op import PICK, general
from .ops.cast import cast
from .ops.reduce import sum_to
from .views import resync

_by_seq = attrgetter("seq")
Parent = Any  # a Node or a leaf Tensor


def place(tensor: Tensor) -> Parent | None:
    """Where gradients of `tensor` go: its node, itself if it is a leaf, None if it wants none."""
    if tensor._base is not None and tensor._version[0] > tensor._synced:
        resync(tensor)
    return (tensor._node or tensor) if tensor._requires_grad else None


def walk(
    roots: Sequence[Parent],
    cotangents: Sequence[Any],
    targets: dict[Any, int] | None,
    create_graph: bool,
    keep: bool,
    anomaly: Any = None,
) -> dict[Any, Any]:
    """Gradients of the leaves (or of `targets`, nodes or leaves) reached from `roots`, as arrays or Tensors.

    `keep` leaves what the nodes saved in place, for another walk; `anomaly` checks every result (see `anomaly.py`).
    """
    pending: dict[Any, Any] = {}
    owned: set[Any] = set()  # whose pending sum is a buffer of our own, which may be added to in place
    for root, g in zip(roots, cotangents, strict=True):
        _add(pending, owned, root, g, create_graph)
    found: dict[Any, Any] = {}
    order = _gather(roots)
    needed = None if targets is None else _needed(order, targets)
    while order:
        node = order.pop()
        g = pending.pop(node, None)
        if g is None:
            continue
        if node.extra is not None:
            g = _run_hooks(node, g, create_graph)
        if targets is not None and node in targets:
            found[node] = g
        parents = node.parents
        if needed is not None:
            parents = tuple([p if p in needed else None for p in parents])
        if node.op is PICK:
            if parents[0] is not None:
                _put_in_slot(pending, node, g, create_graph)
            continue
        _apply(node, parents, g, pending, owned, create_graph, keep, anomaly)
    for leaf, g in pending.items():  # only leaves are left
        found[leaf] = g
    return found


def _apply(
    node: Node,
    parents: Any,
    g: Any,
    pending: dict[Any, Any],
    owned: set[Any],
    create_graph: bool,
    keep: bool,
    anomaly: Any,
) -> None:
    """Apply the rules of one node and pass the results on."""
    saved = node.saved
    if saved is None:
        raise RuntimeError(
            f"Trying to backward through the graph a second time ({node.name()}), but what it saved has already been "
            "freed. Specify retain_graph=True in the first backward or grad call if you need to go through it again."
        )
    if last_write[0] > node.seq:
        _check_versions(node)
    if create_graph and saved:
        saved = _as_tensors(node)
    results = node.op.pull(parents, saved, node.params, g)
    if not keep and saved:
        node.saved = None
    for parent, r in zip(parents, results, strict=True):
        if parent is None or r is None:
            continue
        if type(parent) is Node:
            shape, dtype = parent.shape, parent.dtype
        else:
            shape, dtype = parent._array.shape, parent._array.dtype
        if r.shape != shape:
            r = _unbroadcast(node, parent, r, shape)
        have = r._array.dtype if create_graph else r.dtype
        if have is not dtype:
            r = cast(r, dtype)
        if anomaly is not None:
            anomaly.check(node, r)
        _add(pending, owned, parent, r, create_graph)


def _add(pending: dict[Any, Any], owned: set[Any], parent: Parent, g: Any, create_graph: bool) -> None:
    """Add `g` to the cotangent of `parent`: the first is taken as it is, the second makes a buffer of our own."""
    have = pending.get(parent)
    if have is None:
        pending[parent] = g
    elif parent in owned and not create_graph:
        from .ops.arithmetic import accumulate

        accumulate(have, g)
    else:
        total = have + g
        pending[parent] = total
        if type(total) in ARRAY_TYPES and not isinstance(total, np.generic):
            owned.add(parent)


def _put_in_slot(pending: dict[Any, Any], node: Node, g: Any, create_graph: bool) -> None:
    """Hand the cotangent of one output to the node with several outputs."""
    (index,), (parent,) = node.params, node.parents
    slots = pending.get(parent)
    if slots is None:
        slots = (None,) * len(parent.shape)
    value = g if slots[index] is None else slots[index] + g
    pending[parent] = (*slots[:index], value, *slots[index + 1 :])


def _gather(roots: Sequence[Parent]) -> list[Node]:
    """All nodes reachable from `roots`, in the order they were recorded."""
    stack = [root for root in roots if type(root) is Node]
    seen = set(stack)
    while stack:
        for parent in stack.pop().parents:
            if type(parent) is Node and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=_by_seq)


def _needed(order: list[Node], targets: dict[Any, int]) -> set[Any]:
    """The nodes and leaves through which a target can be reached."""
    needed: set[Any] = set(targets)
    for node in order:  # parents come before children
        if node not in needed and any(p in needed for p in node.parents if p is not None):
            needed.add(node)
    return needed


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
            t._version = cell
        return t

    made: list[Any] = []
    several = node.op.outputs != 1
    for (source, index, _), value, cell in zip(node.op.saved, node.saved, node.cells, strict=True):
        if source == "in":
            made.append(tensor(value, node.parents[index], cell))
        elif source == "ins":
            made.append(tuple(map(tensor, value, node.parents, cell)))
        elif source == "out" and several and value is not None:
            from .op import pick

            made.append(tuple(tensor(v, pick(node, k), c) for k, (v, c) in enumerate(zip(value, cell, strict=True))))
        elif source == "out":
            made.append(tensor(value, node, cell))
        else:
            made.append(value)
    return tuple(made)


# --------------------------------------------------------------------------------------------------------- hooks


def _run_hooks(node: Node, g: Any, create_graph: bool) -> Any:
    """Run what users hung on the output of `node`: `register_hook` functions in order, then `retain_grad`."""
    assert node.extra is not None
    for hook in tuple(node.extra.get("hooks", {}).values()):
        g = _call_hook(hook, g, create_graph)
    retained = node.extra.get("retained")
    tensor = retained() if retained is not None else None
    if tensor is not None:
        _accumulate_into(tensor, g, create_graph)
    return g


def _call_hook(hook: Callable[[Tensor], Any], g: Any, create_graph: bool) -> Any:
    result = hook(g if create_graph else wrap(np.asarray(g) if isinstance(g, np.generic) else g))
    if result is None:
        return g
    if not isinstance(result, Tensor):
        raise TypeError(f"a gradient hook must return a Tensor or None, got {type(result).__name__}")
    if tuple(result.shape) != tuple(g.shape):
        raise RuntimeError(f"hook has changed the size of value: from {tuple(g.shape)} to {tuple(result.shape)}")
    return result if create_graph else result._array


def _accumulate_into(leaf: Tensor, g: Any, create_graph: bool) -> None:
    """Store or add a gradient. A stored buffer belongs to this tensor alone."""
    have = leaf._grad
    if create_graph:
        leaf._grad = g if have is None else have + g
    elif have is None:
        leaf._grad = wrap(_own(g))
    elif have._requires_grad:
        leaf._grad = have + wrap(g)
    else:
        from .core import mark_written
        from .ops.arithmetic import accumulate

        accumulate(have._array, g)
        mark_written(have)


def _own(g: Any) -> Any:
    """`g` itself if nobody else can be holding it, else a copy.

    The reference count tells: a buffer that another leaf, a saved array or the user holds, or that is a view of
    something or read-only, is copied.
    """
    if isinstance(g, np.generic):
        return np.asarray(g)
    # held by: the caller's loop variable, its argument, ours, getrefcount's own
    if g.base is None and sys.getrefcount(g) <= _UNSHARED and getattr(g.flags, "writeable", True):
        return g
    return g.copy()


def _count_unshared() -> int:
    """What `sys.getrefcount` says in `_own` of a buffer nobody else holds; it differs between Python versions."""
    seen: list[int] = []

    def own(g: Any) -> None:
        seen.append(sys.getrefcount(g))

    def accumulate(leaf: Any, g: Any) -> None:
        own(g)

    found = {None: np.zeros(1)}
    for leaf in list(found):
        accumulate(leaf, found.pop(leaf))
    return seen[0]


_UNSHARED = _count_unshared()


# ------------------------------------------------------------------------------------------------------- public


def _cotangents(tensors: Sequence[Tensor], given: Sequence[Any] | None, create_graph: bool) -> list[Any]:
    """The cotangent to start from at each root; RuntimeError where none is given and none is implied."""
    if given is None:
        given = [None] * len(tensors)
    if len(given) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(given)} gradients")
    made = []
    for tensor, g in zip(tensors, given, strict=True):
        if not tensor._requires_grad:
            raise RuntimeError(
                "element 0 of tensors does not require grad and does not have a grad_fn: nothing it was computed from "
                "has requires_grad=True, or it was computed under no_grad"
            )
        if g is None:
            if tensor.numel() != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs; this one has shape {tuple(tensor.shape)}. "
                    "Reduce it first (y.sum().backward()), or give a gradient of the same shape."
                )
            from .ops.create import ones_like

            g = ones_like(tensor.detach())
        if not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        if tuple(g.shape) != tuple(tensor.shape):
            raise RuntimeError(
                f"Mismatch in shape: grad_output has a shape of {tuple(g.shape)} and output has a shape of "
                f"{tuple(tensor.shape)}."
            )
        g = cast(g, tensor._array.dtype)
        made.append(g if create_graph else g._array)
    return made


def _walk_in_mode(
    tensors: Sequence[Tensor], given: Any, targets: dict[Any, int] | None, retain_graph: bool | None, create_graph: bool
) -> dict[Any, Any]:
    keep = create_graph if retain_graph is None else retain_graph
    roots = [place(t) for t in tensors]
    cotangents = _cotangents(tensors, given, create_graph)
    anomaly = state.grad if state.grad is not True and state.grad else None
    token = quiet(SILENT)
    try:
        with enable_grad() if create_graph else no_grad():
            return walk(roots, cotangents, targets, create_graph, keep, anomaly)
    finally:
        restore(token)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` (weighted by `grad_tensors`) to `.grad` of the leaves they depend on.

    As `torch.autograd.backward`. RuntimeError if a tensor is not scalar and has no grad_tensor, does not require grad,
    or its graph has been freed.
    """
    tensors, grad_tensors = _as_sequence(tensors), None if grad_tensors is None else _as_sequence(grad_tensors)
    targets = None
    if inputs is not None:
        wanted = _as_sequence(inputs)
        if not wanted:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        targets = {place(t): i for i, t in enumerate(wanted)}
    found = _walk_in_mode(tensors, grad_tensors, targets, retain_graph, create_graph)
    if targets is not None:
        _store_in_inputs(wanted, found, create_graph)
        return
    for leaf in list(found):
        _store(leaf, found.pop(leaf), create_graph)


def _store(leaf: Tensor, g: Any, create_graph: bool) -> None:
    if leaf._hooks is not None:
        for hook in tuple(leaf._hooks.values()):
            g = _call_hook(hook, g, create_graph)
    _accumulate_into(leaf, g, create_graph)
    for hook in tuple(leaf.__dict__.get("_post_accumulate_hooks", {}).values()):
        hook(leaf)


def _store_in_inputs(wanted: Sequence[Tensor], found: dict[Any, Any], create_graph: bool) -> None:
    for tensor in wanted:
        g = found.pop(place(tensor), None)
        if g is not None:
            _store(tensor, g, create_graph)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` (weighted by `grad_outputs`) with respect to `inputs`; no `.grad` is touched.

    As `torch.autograd.grad`. RuntimeError if an input does not require grad, or is not used and `allow_unused` is not
    set.
    """
    if is_grads_batched:
        raise NotImplementedError("grad(is_grads_batched=True) is not supported; call grad once per row")
    outputs, inputs = _as_sequence(outputs), _as_sequence(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True")
    for i, tensor in enumerate(inputs):
        if not tensor._requires_grad:
            raise RuntimeError(f"One of the differentiated Tensors (input {i}) does not require grad")
    targets = {place(t): i for i, t in enumerate(inputs)}
    given = None if grad_outputs is None else _as_sequence(grad_outputs)
    found = _walk_in_mode(outputs, given, targets, retain_graph, create_graph)
    results = []
    handed: set[int] = {id(_root(g._array)) for g in given or () if g is not None}
    for i, tensor in enumerate(inputs):
        g = found.get(place(tensor))
        if g is None and materialize_grads:
            from .ops.create import zeros_like

            g = zeros_like(tensor.detach())
        elif g is None and not allow_unused:
            raise RuntimeError(
                f"One of the differentiated Tensors (input {i}) appears to not have been used in the graph. Set "
                "allow_unused=True if this is the desired behavior."
            )
        elif g is not None:
            g = _as_result(tensor, g, create_graph)
            if not create_graph and id(_root(g._array)) in handed:
                g = wrap(g._array.copy())
            handed.add(id(_root(g._array)))
        results.append(g)
    return tuple(results)


def _root(array: Any) -> Any:
    """The array that owns the memory of `array`."""
    return array if array.base is None else array.base


def _as_result(tensor: Tensor, g: Any, create_graph: bool) -> Tensor:
    if tensor._node is None and tensor._hooks is not None:
        for hook in tuple(tensor._hooks.values()):
            g = _call_hook(hook, g, create_graph)
    if create_graph:
        return g
    return wrap(np.asarray(g) if isinstance(g, np.generic) else g)


def _as_sequence(x: Any) -> Sequence[Any]:
    return (x,) if isinstance(x, Tensor) or x is None else tuple(x)


__all__ = ["backward", "general", "grad", "walk"]
