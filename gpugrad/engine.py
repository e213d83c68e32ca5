"""`backward` and `grad`: where a walk starts, and where its gradients go.

Gradients of leaves are stored when the walk (`walk.py`) is over: an error in the middle changes no `.grad`. A stored
gradient is a buffer that belongs to its leaf alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from sys import getrefcount
from typing import Any

import numpy as np

from .core import Tensor, mark_written, wrap
from .device import apart, array_device
from .fp_errors import SILENT, quiet, restore
from .modes import state
from .op import general
from .ops.arithmetic import accumulate
from .ops.cast import cast
from .ops.one import one, own
from .ops.transfer import beside
from .views import resync
from .walk import Parent, call_hook, walk


def place(tensor: Tensor) -> Parent | None:
    """Where gradients of `tensor` go: its node, itself if it is a leaf, None if it wants none."""
    if tensor._base is not None and tensor._written[0] > tensor._synced:
        resync(tensor)
    return (tensor._node or tensor) if tensor._requires_grad else None


# ------------------------------------------------------------------------------------------------------- storing


def _store_all(found: dict[Any, Any], create_graph: bool) -> None:
    """Move the gradients in `found` to `.grad` of the leaves, through their hooks."""
    for leaf in tuple(found):
        g = found.pop(leaf)
        if not leaf._requires_grad:  # it may have been frozen since the forward pass
            continue
        if leaf._hooks is None and leaf._grad is None and not create_graph:
            # held by: `g`, getrefcount's own argument
            mine = (
                getrefcount(g) <= _UNSHARED and type(g) is type(leaf._array) and (g.base is None or _is_all_there_is(g))
            )
            leaf._grad = wrap(g if mine and getattr(g.flags, "writeable", True) else _copy(g))
        else:
            _store(leaf, g, create_graph)


def _is_all_there_is(view: Any) -> bool:
    """Whether nobody else holds the array whose memory this is, and it shows all of it, in order: a gradient reshaped."""
    base = view.base
    return (
        getrefcount(base) <= _UNSHARED + 1  # held by the view besides
        and type(base) is type(view)
        and base.base is None
        and base.size == view.size
        and bool(view.flags.c_contiguous)
    )


def _store(leaf: Tensor, g: Any, create_graph: bool) -> None:
    """Add `g` to `.grad` of `leaf`, through its hooks."""
    for hook in tuple(leaf._hooks.values()) if leaf._hooks is not None else ():
        g = call_hook(hook, g, create_graph)
    accumulate_grad(leaf, g, create_graph)
    for hook in tuple(leaf.__dict__.get("_post_accumulate_hooks", {}).values()):
        hook(leaf)


def _copy(g: Any) -> Any:
    return np.asarray(g) if isinstance(g, np.generic) else g.copy()


def _count_unshared() -> int:
    """What `getrefcount` says in `_store_all` of a buffer that nobody else holds; Python versions differ."""
    found = {None: object()}
    for leaf in tuple(found):
        g = found.pop(leaf)
        count = getrefcount(g)
    return count


_UNSHARED = _count_unshared()


def accumulate_grad(tensor: Tensor, g: Any, create_graph: bool) -> None:
    """Add `g` to `tensor.grad`, in place if there is one; else store a copy of it."""
    have = tensor._grad
    if create_graph and have is None:
        tensor._grad = g if g._requires_grad else wrap(_copy(g._array))  # what is on the tape is not written later
    elif create_graph:
        tensor._grad = have + g
    elif have is None:
        tensor._grad = wrap(_copy(g))
    elif have._requires_grad:
        tensor._grad = have + wrap(g)
    else:
        accumulate(have._array, g)
        mark_written(have)


# ------------------------------------------------------------------------------------------------------- public


def _cotangent(tensor: Tensor, g: Tensor | None, keep: bool, create_graph: bool) -> Any:
    """The cotangent to start from at `tensor`; RuntimeError where none is given and none is implied.

    Where what was saved is kept for another walk, it is not the 1 that rules know: they may not give away what they saved.
    """
    if not tensor._requires_grad:
        raise RuntimeError(
            "element 0 of tensors does not require grad and does not have a grad_fn: nothing it was computed from "
            "has requires_grad=True, or it was computed under no_grad"
        )
    array = tensor._array
    if g is None:
        if array.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs; this one has shape {tuple(array.shape)}. "
                "Reduce it first (y.sum().backward()), or give a gradient of the same shape."
            )
        shared = one(array)
        if create_graph:
            return wrap(_copy(shared))
        return _copy(shared) if keep else shared
    if not isinstance(g, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g._array.shape != array.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output has a shape of {tuple(g._array.shape)} and output has a shape of "
            f"{tuple(array.shape)}."
        )
    if apart(g._array, array):
        where = array_device(array)
        if g._array.ndim:
            raise RuntimeError(
                f"invalid gradient at index 0 - expected device {where} but got {array_device(g._array)}"
            )
        g = beside(g, where)
    if create_graph:
        return cast(g, array.dtype)
    return cast(g._array, array.dtype)


def _walk_in_mode(
    tensors: Sequence[Tensor],
    given: Any,
    targets: dict[Any, int] | None,
    retain_graph: bool | None,
    create_graph: bool,
    ends: frozenset[Parent] = frozenset(),
) -> dict[Any, Any]:
    keep = create_graph if retain_graph is None else retain_graph
    if given is None:
        given = (None,) * len(tensors)
    elif len(given) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(given)} gradients")
    roots = [place(t) for t in tensors]
    mode = state.grad
    token = quiet(SILENT)
    try:
        cotangents = [_cotangent(t, g, keep, create_graph) for t, g in zip(tensors, given, strict=True)]
        state.grad = (mode or True) if create_graph else False
        anomaly = mode if mode is not True and mode else None
        return walk(roots, cotangents, targets, create_graph, keep, anomaly, accumulate_grad, ends)
    finally:
        state.grad = mode
        restore(token)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` (weighted by `grad_tensors`) to `.grad` of the leaves they depend on.

    As `torch.autograd.backward`. RuntimeError if a tensor is not scalar and has no grad_tensor, does not require grad,
    or its graph has been freed. `grad_variables` is an old name of `grad_tensors`.
    """
    if grad_variables is not None:
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only use "
                "`grad_tensors`."
            )
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        grad_tensors = grad_variables
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
    _store_all(found, create_graph)


def _store_in_inputs(wanted: Sequence[Tensor], found: dict[Any, Any], create_graph: bool) -> None:
    for tensor in wanted:
        key = place(tensor)
        if key in found:
            _store(tensor, found.pop(key), create_graph)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` (weighted by `grad_outputs`) with respect to `inputs`; no `.grad` is touched.

    As `torch.autograd.grad`. RuntimeError if an input does not require grad, or is not used and `allow_unused` is not
    set. `only_inputs` is ignored, and False warns. With `is_grads_batched` the first dimension of each of
    `grad_outputs` is that of a batch, and so it is of each result: a walk for each row.
    """
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other "
            "parts of the graph, please use gpugrad.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    outputs, inputs = _as_sequence(outputs), _as_sequence(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True")
    if is_grads_batched:
        rows = _grads_of_rows(
            outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused or materialize_grads
        )
        return tuple([_zeros(x) if g is None and materialize_grads else g for x, g in zip(inputs, rows)])
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
            g = _zeros(tensor)
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


def grad_at(
    outputs: Sequence[Tensor], places: Sequence[Parent], grad_outputs: Sequence[Tensor], create_graph: bool
) -> list[Tensor | None]:
    """The gradients at places of the tape, nodes and leaves, as far as they come from what lies between; no hooks run there."""
    found = _walk_in_mode(outputs, grad_outputs, None, create_graph, create_graph, frozenset(places))
    grads = [found.get(p) for p in places]
    return [g if g is None or isinstance(g, Tensor) else wrap(g) for g in grads]


def _zeros(tensor: Tensor) -> Tensor:
    from .ops.create import zeros_like

    return zeros_like(tensor.detach())


def _grads_of_rows(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    grad_outputs: Any,
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool | None,
) -> tuple[Tensor | None, ...]:
    """`grad` for each row of the `grad_outputs`, one on top of the other."""
    from .ops import stack
    from .ops.create import zeros

    given: Sequence[Any] = (None,) * len(outputs) if grad_outputs is None else _as_sequence(grad_outputs)
    count = _count_of_rows(outputs, given)
    if not count:
        return tuple([zeros(0, *x.shape, dtype=x.dtype, device=x.device) for x in inputs])
    rows = []
    for i in range(count):
        retain = True if i < count - 1 else retain_graph
        rows.append(grad(outputs, inputs, [g[i] for g in given], retain, create_graph, allow_unused=allow_unused))
    return tuple([None if column[0] is None else stack(column) for column in zip(*rows)])


def _count_of_rows(outputs: Sequence[Tensor], given: Sequence[Any]) -> int:
    """How many cotangents each of `given` is; ValueError or RuntimeError if they do not fit `outputs`."""
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(given)} gradients")
    for i, (out, g) in enumerate(zip(outputs, given)):
        if g is None:
            raise ValueError(
                f"is_grads_batched=True: output {i} needs a batch of gradients, but its grad_output is None"
            )
        if not g.ndim or g.shape[1:] != out.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. "
                "The sizes of the remaining dimensions are expected to match the shape of corresponding output, but for "
                f"output {i} grad_output has a shape of {list(g.shape)} and output has a shape of {list(out.shape)}."
            )
    sizes = [len(g) for g in given]
    if len(set(sizes)) > 1:
        raise ValueError(f"is_grads_batched=True: all grad_outputs must have the same size in dimension 0, got {sizes}")
    return sizes[0] if sizes else 0


def _root(array: Any) -> Any:
    """The array that owns the memory of `array`."""
    return array if array.base is None else array.base


def _as_result(tensor: Tensor, g: Any, create_graph: bool) -> Tensor:
    if tensor._node is None and tensor._hooks is not None:
        for hook in tuple(tensor._hooks.values()):
            g = call_hook(hook, g, create_graph)
    if create_graph:
        return g
    return wrap(np.asarray(g) if isinstance(g, np.generic) else own(g))


def _as_sequence(x: Any) -> Sequence[Any]:
    return (x,) if isinstance(x, Tensor) or x is None else tuple(x)


__all__ = ["backward", "general", "grad", "walk"]
