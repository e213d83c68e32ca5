"""Writing in place: `x.add_(y)`, `x[i] = y`, `out=`.

An in-place method computes its op out of place, recorded as usual, then puts the result in the tensor's memory and
gives the tensor the result's place on the tape. When the tensor is a view, its root gets a node that says "the old
root, with this part replaced"; other views of the root follow (see `views.py`). Whatever was saved from the old memory
by earlier nodes is found changed when the walk gets there, and that is an error; what this very op saved is kept safe.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .core import Node, Tensor, attach, mark_written, tick, wrap
from .device import ARRAY_TYPES, apart, array_device
from .dtypes import FLOATS, WEAK, as_dtype
from .errors import explain, on_two_devices
from .fp_errors import SILENT, quiet, restore
from .hooks import move_retained
from .modes import state
from .op import Op, op
from .ops.cast import cast
from .views import address, check_same_place, follow, lineage, resync


@op(writes="target")
def assign(target: Any, source: Any) -> None:
    """Write `source` (broadcast, converted) into the array `target`."""
    np.copyto(target, source, casting="unsafe")


# A view is looked up by the steps that lead to it, and these (`view`, `as_strided`) mean something for the order in which
# elements lie in memory. So what they are taken of is laid out as the tensor was: `order` lists its dimensions, outermost
# first, or is None if they are in order.


def memory_order(array: Any) -> tuple[int, ...] | None:
    """The dimensions of `array` as they lie in memory, outermost first; None if that is 0, 1, 2, ..."""
    if array.flags.c_contiguous:
        return None
    return tuple(sorted(range(array.ndim), key=lambda d: -array.strides[d]))


def reordered(x: Any, order: tuple[int, ...] | None, copy: Any) -> Any:
    """`x` with elements in memory order `order`: `copy` makes an array contiguous."""
    if order is None:
        return copy(x)
    return copy(x.transpose(order)).transpose(sorted(range(x.ndim), key=order.__getitem__))


def _copied(x: Any) -> Any:
    return np.array(x, order="C")  # an array even of a NumPy scalar, which `x.copy` would leave one


@op
def in_order(x: Any, *, order: tuple[int, ...] | None) -> Any:
    """`x` if its elements lie in memory in this `order`, else a copy whose elements do."""
    return reordered(x, order, lambda y: y if y.flags.c_contiguous else y.copy("C"))


in_order.defvjp(x=lambda g: g)


@op
def clear_view(x: Any, *, steps: Any, order: tuple[int, ...] | None) -> Any:
    """A copy of `x` with zeros where the view that `steps` describe lies."""
    out = reordered(x, order, _copied)
    follow(out, steps)[...] = 0
    return out


clear_view.defvjp(x=lambda g, *, steps, order: clear_view(g, steps=steps, order=order))


def _view_write_body(base: Any, source: Any, *, steps: Any, order: tuple[int, ...] | None) -> Any:
    out = reordered(base, order, _copied)
    follow(out, steps)[...] = source
    return out


VIEW_WRITE = Op(_view_write_body, name="copy_slices")
VIEW_WRITE.defvjp(
    base=lambda g, *, steps, order: clear_view(g, steps=steps, order=order),
    source=lambda g, *, steps, order: follow(in_order(g, order=order), steps),
)


def update(tensor: Tensor, function: Any, *args: Any, **params: Any) -> Tensor:
    """`tensor.function_(*args)`: put `function(tensor, *args)` in the place of `tensor`, and return it."""
    if tensor._base is not None and tensor._written[0] > tensor._synced:
        resync(tensor)
    name = f"{function.__name__.rstrip('_')}_"
    check_writable(tensor, name)
    if _takes_out(function) and tensor._array.size and not _recorded(tensor, *args, *params.values()):
        try:
            return function(tensor, *args, **params, out=tensor)
        except RuntimeError:
            pass  # what does not fit is said below, by the method's name
    since = tick()
    put(tensor, function(tensor, *args, **params), since, name)
    return tensor


def _takes_out(function: Any) -> bool:
    op = getattr(function, "op", None)
    return op.takes_out if op is not None else "out" in (getattr(function, "__kwdefaults__", None) or ())


def _recorded(*operands: Any) -> bool:
    """Whether a call with these operands, tensors among them, is put on the tape."""
    if state.grad:
        for x in operands:
            if isinstance(x, Tensor) and (x._requires_grad if x._base is None else x.requires_grad):  # up to date
                return True
    return False


def write(tensor: Tensor, function: Any, *args: Any, **params: Any) -> Tensor:
    """`update` by a `function` that takes `_inplace`: it is asked to write where `tensor` lies, if nobody can tell.

    That is where nothing is recorded, and nothing that is read shares the memory. A function may still return a copy.
    """
    operands = [x for a in (*args, *params.values()) for x in (a if isinstance(a, (tuple, list)) else (a,))]
    tensors = [x for x in operands if isinstance(x, Tensor)]
    recorded = _recorded(tensor, *tensors)
    array = tensor._array
    if recorded or not array.flags.c_contiguous or any(_may_share(array, x._array) for x in tensors):
        return update(tensor, function, *args, **params)
    name = f"{function.__name__}_"
    check_writable(tensor, name)
    check_memory(tensor, name)
    made = function(tensor, *args, **params, _inplace=True)
    if made._array.shape == array.shape and address(made._array) == address(array):
        mark_written(tensor)
    else:
        put(tensor, made, tick(), name)
    return tensor


def overwrite(tensor: Tensor, source: Any, function: Any) -> Tensor:
    """`tensor.copy_(source)` and `tensor.fill_(source)`, a tensor or a number, written where `tensor` lies.

    Where the write is recorded or shapes differ it is an `update` by `function`, the out-of-place meaning.
    """
    array, given = tensor._array, getattr(source, "_array", source)
    alike = given is source or (given.shape in (array.shape, ()) and type(given) is type(array))
    if _recorded(tensor, source) or not alike or (given is not source and apart(array, given)):
        return update(tensor, function, source)
    name = f"{function.__name__}_"
    check_writable(tensor, name)
    check_memory(tensor, name)
    assign(array, given)
    mark_written(tensor)
    return tensor


def _may_share(x: Any, y: Any) -> bool:
    return type(x) is type(y) and not apart(x, y) and bool(np.may_share_memory(x, y))


def result_into(out: Any, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
    """`op(*args, **params, out=out)` of a formula."""
    if not isinstance(out, Tensor) or not _written_at_once(out, op, args, params):
        into(out, op.function(*args, **params), op.name)
    return out


def _written_at_once(out: Tensor, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> bool:
    """Whether the result went straight to where `out` lies: what is unrecorded, and of one dtype and shape with it."""
    array = out._array
    kind, dtype = type(array), array.dtype
    if not ARRAY_TYPES[kind].writes(op, array) or (op.to_float and dtype not in FLOATS) or _recorded(out, *args):
        return False
    weak, inputs, shapes = WEAK[dtype], [], []
    for x in args:
        if isinstance(x, Tensor):
            x = x._array
            if type(x) is not kind or x.dtype is not dtype or apart(array, x):
                return False
            shapes.append(x.shape)
        elif x is not None and type(x) not in weak:
            return False
        inputs.append(x)
    if not _fill(array.shape, shapes):
        return False
    token = quiet(SILENT)
    try:
        made = op.impls[kind](*inputs, **params, out=array)
    except Exception as error:
        raise explain(op, error, args, params) from error
    finally:
        restore(token)
    if made is NotImplemented:
        return False
    mark_written(out)
    return True


def _fill(shape: tuple[int, ...], shapes: list[tuple[int, ...]]) -> bool:
    """Whether arrays of `shapes` broadcast to `shape`, and to nothing less."""
    if shapes.count(shape) == len(shapes):
        return bool(shapes)
    try:
        return np.broadcast_shapes(*shapes) == shape
    except ValueError:
        return False


def check_writable(tensor: Tensor, name: str) -> None:
    """RuntimeError if writing `tensor` in place would lose the gradient of a leaf, or of what `tensor` is a view of."""
    if not state.grad:
        return
    if tensor._requires_grad and tensor._node is None:
        raise RuntimeError(
            f"{name}: a leaf Variable that requires grad is being used in an in-place operation. Write to it under "
            "gpugrad.no_grad(), or work on x.clone()."
        )
    if tensor._base is not None:
        root, steps = lineage(tensor)
        if root._requires_grad:
            _check_lineage(root, steps, name)


def _check_lineage(root: Tensor, steps: Any, name: str) -> None:
    """RuntimeError unless a write to the view of `root` that `steps` lead to can be recorded."""
    if any(step is None for step in steps):
        raise RuntimeError(
            f"{name}: A view was created in no_grad mode and is being modified inplace with grad mode enabled. "
            "Make the view with grad mode enabled, or write to it under gpugrad.no_grad()."
        )
    if root._requires_grad and root._node is None:
        raise RuntimeError(
            f"{name}: a view of a leaf Variable that requires grad is being used in an in-place operation. Write "
            "to it under gpugrad.no_grad(), or work on x.clone()."
        )


def put(tensor: Tensor, value: Tensor, since: int, name: str) -> None:
    """Give `tensor` the value and the tape place of `value`, which was computed after the time `since`.

    RuntimeError, before anything is changed, if device or shape differ or the dtype cannot be converted.
    """
    check_fits(tensor, value, name)
    array = tensor._array
    recorded = state.grad and (tensor._requires_grad or value._requires_grad)
    if recorded and value._array.dtype is not array.dtype:  # else it is converted as it is written
        value = cast(value, array.dtype)
    steps: Any = ()
    if recorded and tensor._base is not None:
        root, steps = _lineage_for_writing(tensor, name)
    _protect(value._node, tensor._written, since)
    assign(array, value._array)
    mark_written(tensor)
    if not recorded:
        return
    if tensor._base is None:
        move_retained(tensor, tensor._node, value._node)
        tensor._node, tensor._requires_grad = value._node, value._requires_grad
    else:
        _write_through(root, steps, value)
        resync(tensor)


def check_fits(tensor: Tensor, value: Tensor, name: str, any_shape: bool = False) -> None:
    """RuntimeError unless `value` can be written to `tensor`: its device, shape and dtype, the memory of `tensor`."""
    array, given = tensor._array, value._array
    if apart(array, given):
        raise on_two_devices(array_device(array), array_device(given), name)
    if not any_shape and given.shape != array.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(tensor.shape)} doesn't match the broadcast shape {list(value.shape)}"
        )
    if given.dtype is not array.dtype:
        want, have = as_dtype(array.dtype), as_dtype(given.dtype)
        if have.category > want.category:
            raise RuntimeError(f"{name}: result type {have} can't be cast to the desired output type {want}")
    check_memory(tensor, name)


def check_memory(tensor: Tensor, name: str) -> None:
    """RuntimeError if elements of `tensor` share memory, or it may not be written."""
    array = tensor._array
    repeats = array.size and 0 in array.strides and any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape))
    if repeats or not getattr(array.flags, "writeable", True):  # which only NumPy's arrays say of themselves
        raise RuntimeError(
            f"{name}: unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location (or its memory is read-only). Please clone() the tensor before performing the operation."
        )


def _lineage_for_writing(tensor: Tensor, name: str) -> Any:
    root, steps = lineage(tensor)
    _check_lineage(root, steps, name)
    check_same_place(follow(root._array, steps), tensor._array)
    return root, steps


@functools.cache
def _ready_view_write() -> Op:
    """`VIEW_WRITE` with its rules read: it is only ever a node of the tape, so no first call does that."""
    from .callpath import specialise  # at call time: it imports this module

    specialise(VIEW_WRITE)
    return VIEW_WRITE


def _write_through(root: Tensor, steps: Any, value: Tensor) -> None:
    """Put "the old root with `value` at `steps`" in the root's place on the tape."""
    parents = tuple((t._node or t) if t._requires_grad else None for t in (root, value))
    array = root._array
    params = (steps, memory_order(array))
    node = Node(_ready_view_write(), parents, (), (), params, array.shape, array.dtype)
    move_retained(root, root._node, node)
    attach(root, node)


def _protect(node: Node | None, cell: list[int], since: int) -> None:
    """Copy what nodes recorded after `since` saved from the memory about to be overwritten."""
    stack = [node] if node is not None else []
    while stack:
        node = stack.pop()
        if type(node) is not Node or node.seq < since:
            continue
        if any(c is cell for c in node.cells):
            node.saved = tuple(_copy(s) if c is cell else s for s, c in zip(node.saved, node.cells, strict=True))
            node.cells = tuple(None if c is cell else c for c in node.cells)
        stack.extend(node.parents)


def _copy(saved: Any) -> Any:
    return saved.copy() if hasattr(saved, "copy") else saved


def into(out: Tensor, value: Tensor, name: str) -> Tensor:
    """`out=`: put `value` in `out`, and return it. An empty `out` takes the shape of `value`."""
    _check_out(out, value, name)
    _put_out(out, value, name)
    return out


def into_each(outs: Sequence[Tensor], values: Sequence[Tensor], name: str) -> Sequence[Tensor]:
    """`out=` of several results; TypeError or RuntimeError, before anything is written, if one does not fit."""
    if isinstance(outs, Tensor) or len(outs) != len(values):
        raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(values)} Tensors")
    for out, value in zip(outs, values, strict=True):
        _check_out(out, value, name)
        check_fits(out, value, name, any_shape=_takes_any_shape(out))
    for out, value in zip(outs, values, strict=True):
        _put_out(out, value, name)
    return outs


def _check_out(out: Any, value: Tensor, name: str) -> None:
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be a Tensor, not {type(out).__name__}")
    if state.grad and (value._requires_grad or out._requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )


def _put_out(out: Tensor, value: Tensor, name: str) -> None:
    if _takes_any_shape(out):
        check_fits(out, value, name, any_shape=True)
        out._array = cast(value.detach().clone(), out._array.dtype)._array
        mark_written(out)
    else:
        put(out, value, tick(), name)  # if it fits


def _takes_any_shape(out: Tensor) -> bool:
    """Whether nobody else looks at the memory of `out`, and there is none to lose."""
    return out._base is None and out._array.size == 0


def become(tensor: Tensor, function: Any, *args: Any) -> Tensor:
    """`tensor.function_(*args)` for a view `function`: `tensor` becomes that view of what it was; its memory stays."""
    name = f"{function.__name__}_"
    check_writable(tensor, name)
    if not state.grad or (tensor._base is None and not tensor._requires_grad):
        tensor._array = function(tensor, *args)._array
        return tensor
    before = wrap(tensor._array)
    for slot in ("_node", "_requires_grad", "_base", "_written", "_view", "_synced"):
        if hasattr(tensor, slot):
            setattr(before, slot, getattr(tensor, slot))
    after = function(before, *args)
    move_retained(tensor, tensor._node, after._node)
    for slot in ("_array", "_node", "_requires_grad", "_base", "_view", "_synced"):
        setattr(tensor, slot, getattr(after, slot))
    return tensor
