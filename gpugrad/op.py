"""The op: a Python function on arrays, with rules (the vjp of each input) and, per array type, an implementation.

    @op
    def matmul(x, y): return np.matmul(x, y)
    matmul.defvjp(x=lambda g, y: g @ mT(y), y=lambda g, x: mT(x) @ g)

What `op` returns is a plain function, specialised by `callpath` the first time it is called. Its arguments decide what
happens: a Tensor among them, and the call is recorded; arrays in, arrays out; an `Expr`, and the formula is traced.

A body takes its inputs positionally and its parameters keyword-only. A rule takes `g` (the cotangent of the output),
then any of: the name of an input, `out`, `<input>_shape`, and after `*` any of the parameters. What it names is what is
saved. One positional rule (`defvjp(rule)`) gives the gradients of all inputs as a tuple; it may also ask for `needs`,
a tuple of bools. With several outputs, `g` is a tuple with None where no gradient came, and `out` is a tuple.
A body declared `hidden` returns its output and a list of what else its rules need, which they name `hidden`; `g` is then
the cotangents of the output and of the first in that list, which has one in gradients of gradients alone. Such a body may
take `recorded`, keyword-only, which is no parameter: if it is False no rule will be applied, and the list may be empty.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .core import Node, Tensor, attach, last_write, new, tick, wrap
from .device import ARRAY_TYPES, CPU, array_device
from .dtypes import FLOATS, WEAK, as_dtype, get_default_dtype, result_type_of, scalar_dtype
from .errors import explain, on_two_devices
from .fp_errors import SILENT, quiet, restore
from .modes import state
from .views import resync

REGISTRY: dict[str, Op] = {}
_REQUIRED = inspect.Parameter.empty
SYMBOLIC: dict[type, Callable[..., Any]] = {}  # symbolic argument type -> what a call with it does (see expr.py)


class OpFunction(Protocol):
    """What `op` returns, for type checkers."""

    op: Op
    defvjp: Callable[..., None]
    defadd: Callable[[Callable[..., Any]], None]
    kernel: Callable[[Callable[..., Any]], Callable[..., Any]]

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class Impls(dict[type, Callable[..., Any]]):
    """Array type -> implementation, filled on first use from what the device entered for its array type."""

    def __init__(self, op: Op) -> None:
        self.op = op

    def __missing__(self, kind: type) -> Callable[..., Any]:
        if kind not in ARRAY_TYPES:
            raise TypeError(f"{self.op.name}(): expected a Tensor or an array, got {kind.__name__}")
        self[kind] = impl = ARRAY_TYPES[kind].implement(self.op)
        return impl


class Op:
    """Everything known of one op. The public face is `function`."""

    __slots__ = ("__dict__", "__weakref__", "pull")  # `pull` is a slot: a profile puts its own in the slot's place

    def __init__(
        self,
        body: Callable[..., Any],
        *,
        name: str | None = None,
        names: tuple[str, ...] | None = None,
        broadcasts: bool = False,
        promotes: bool | tuple[str, ...] = (),
        to_float: bool = False,
        outputs: int = 1,
        hidden: bool = False,
        view: bool = False,
        formula: bool = False,
        cuda: str | None = None,
        out: bool | None = None,
        writes: str | None = None,
        moves: bool = False,
        joins: bool = False,
        ordered: bool | None = None,
        check: Callable[..., None] | None = None,
    ) -> None:
        """`names`: argument names users see, if not the body's. `promotes`: inputs brought to a common dtype (True:
        all). `to_float`: integers among them become the default dtype. `outputs`: how many. `hidden`: the body returns
        the output and a list that only its rules see: the first in it may have a gradient, the last may be the output.
        `view`: the result shares the first input's memory. `formula`: elementwise, so that it can be traced and
        printed; `cuda` is how it prints if it is a leaf of formulas ("exp({0})"; {C} is the type it computes in,
        {storage} that of the arrays), else its body is traced. `out`: takes PyTorch's `out=` (formulas always do).
        `writes`: the input written in place (such an op is for arrays; tensors reach it through `inplace.py`).
        `moves`: the result may be of another array type, on another device. `joins`: a device may apply the rules of
        several inputs together (`rules_kernel`). `ordered`: results lie in memory in order, whatever the inputs do (all
        but formulas, views and what writes or moves; on the CPU, devices see to it themselves). `check`: sees inputs
        before they are promoted, or after the body failed, and raises if they are refused.
        """
        self.body = body
        self.name = name or body.__name__
        self.inputs, self.params, self.variadic = _read_signature(body)
        self.told = self.params.pop("recorded", None) is not None  # whether calls are recorded
        self.names = names or self.inputs
        self.broadcasts = broadcasts
        self.promotes = self.inputs if promotes is True else (promotes or ())
        self.to_float = to_float
        self.outputs = outputs
        self.hidden = hidden
        self.view = view
        self.formula = formula or cuda is not None
        self.cuda = cuda
        self.takes_out = self.formula if out is None else out
        self.writes = writes
        self.moves = moves
        self.joins = joins or self.formula
        self.ordered = not (self.formula or view or writes or moves) if ordered is None else ordered
        self.check = check
        self.launcher: Callable[..., Any] | None = None
        self.rules_launcher: Callable[..., Any] | None = None
        self.rules: dict[str, Callable[..., Any]] = {}
        self.joint: Callable[..., Any] | None = None
        self.adding: Callable[..., Any] | None = None
        self.add_into: Callable[..., Any] | None = None  # as `pull`, and made with it
        self.impls = Impls(self)
        self.saved: list[tuple[str, int, frozenset[int]]] = []  # (source, index, inputs whose rules need it)
        self.pull = _no_rule
        REGISTRY[self.name] = self
        self.function = self._make_function()

    def _make_function(self) -> Any:
        function = types.FunctionType(_stub.__code__, {"op": self, "_build": _build}, self.name)
        function.__doc__ = self.body.__doc__
        function.__module__ = getattr(self.body, "__module__", __name__)
        function.__qualname__ = self.name
        function.op = self  # type: ignore[attr-defined]
        function.defvjp = self.defvjp  # type: ignore[attr-defined]
        function.defadd = self.defadd  # type: ignore[attr-defined]
        function.kernel = self.kernel  # type: ignore[attr-defined]
        return function

    def defvjp(self, joint: Callable[..., Any] | None = None, /, **rules: Callable[..., Any]) -> None:
        """Declare the rules, per input by name, or one rule for all. They are read when the op is first called."""
        unknown = set(rules) - set(self.inputs)
        if unknown:
            raise TypeError(f"{self.name}.defvjp(): no input named {sorted(unknown)}; it has {list(self.inputs)}")
        self.joint = joint
        self.rules = rules

    def defadd(self, adding: Callable[..., Any]) -> None:
        """Declare how the gradient of the first input is added to one that is there, in place: `adding(total, g, ...)`.

        For gradients that are zeros but for a part: where many parts are taken of one input, each then costs its own size
        and not that of the input. It names what it needs as the rule does, whose result must be an array of its own, and
        may return NotImplemented: then the rule makes the gradient.
        """
        self.adding = adding

    def kernel(self, launcher: Callable[..., Any]) -> Callable[..., Any]:
        """Declare the CUDA launcher of this op. It may return NotImplemented: then the body runs."""
        self.launcher = launcher
        return launcher

    def rules_kernel(self, launcher: Callable[..., Any]) -> Callable[..., Any]:
        """Declare a CUDA launcher of the rules: `launcher(parents, saved, g)` gives the gradients of the inputs with a parent.

        The op must have been declared with `joins`. It may return NotImplemented: then the rules run one after another.
        """
        self.rules_launcher = launcher
        return launcher

    def differentiates(self, index: int) -> bool:
        """Whether input `index` has a rule."""
        return self.joint is not None or (not self.variadic and self.inputs[index] in self.rules)

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.inputs)})>"


def op(body: Any = None, **options: Any) -> Any:
    """Declare an op: `@op`, or `@op(view=True, ...)` with the options of `Op`."""
    if body is None:
        return lambda body: Op(body, **options).function
    return Op(body, **options).function


def _read_signature(body: Any) -> tuple[tuple[str, ...], dict[str, Any], bool]:
    """Inputs, parameters with defaults (`inspect.Parameter.empty` if they must be given), whether inputs are a `*list`.

    Every op is read when gpugrad is imported: from the code object, as `inspect.signature` takes ten times longer.
    """
    if isinstance(body, np.ufunc):  # it is its own body
        return ("x", "y", "z")[: body.nin], {}, False
    function = body
    while hasattr(function, "__wrapped__") and not hasattr(function, "__signature__"):
        function = function.__wrapped__
    if type(function) is not types.FunctionType or hasattr(function, "__signature__"):
        return _read_any_signature(function)
    code = function.__code__
    end = code.co_argcount + code.co_kwonlyargcount
    names, variadic = code.co_varnames, bool(code.co_flags & inspect.CO_VARARGS)
    inputs = names[: code.co_argcount] + names[end : end + variadic]
    given = function.__kwdefaults__ or {}
    return inputs, {name: given.get(name, _REQUIRED) for name in names[code.co_argcount : end]}, variadic


def _read_any_signature(body: Any) -> tuple[tuple[str, ...], dict[str, Any], bool]:
    """The same of a body that is not a plain function, or says itself what its signature is."""
    inputs, params, variadic = [], {}, False
    for p in inspect.signature(body).parameters.values():
        if p.kind is p.KEYWORD_ONLY:
            params[p.name] = p.default
        else:
            inputs.append(p.name)
            variadic = variadic or p.kind is p.VAR_POSITIONAL
    return tuple(inputs), params, variadic


def _stub(*args: Any, **kwargs: Any) -> Any:
    return _build(op)(*args, **kwargs)  # type: ignore[arg-type]  # `op` is the Op, in the function's own globals


def _build(op: Op) -> Any:
    """Turn the stub into the op's own call path, on its first call."""
    from .callpath import specialise

    specialise(op)
    return op.function


def _no_rule(parents: Any, saved: Any, params: Any, g: Any) -> Any:
    raise AssertionError("a node of an op that has no rule")


def run(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Apply `op` to Tensors, scalars and Nones that need no conversion, and record it.

    This is the meaning of the specialised call paths, and what serves ops with several outputs or a `*list`.
    """
    arrays: list[Any] = []
    parents: list[Any] = []
    cells: list[Any] = []
    kind: type | None = None
    for i, x in enumerate(args):
        if not isinstance(x, Tensor):
            arrays.append(x)
            parents.append(None)
            cells.append(None)
            continue
        if x._base is not None and x._written[0] > x._synced:
            resync(x)
        arrays.append(x._array)
        kind = type(x._array)
        cells.append(x._written)
        parents.append((x._node or x) if x._requires_grad and op.differentiates(i) else None)
    assert kind is not None
    recorded = state.grad and any(p is not None for p in parents)
    token = quiet(SILENT)
    try:
        out = op.impls[kind](*arrays, **params, **_told(op, bool(recorded)))
    except Exception as error:
        raise explain(op, error, args, params) from error
    finally:
        restore(token)
    if op.hidden:
        out, hidden = out
        return _single(op, args, arrays, parents, cells, params, _as_kind(op, out, kind), recorded, hidden)
    if op.outputs == 1:
        return _single(op, args, arrays, parents, cells, params, _as_kind(op, out, kind), recorded)
    return _several(op, arrays, parents, cells, params, tuple(_as_kind(op, o, kind) for o in out), recorded)


def _told(op: Op, recorded: bool) -> dict[str, bool]:
    return {"recorded": recorded} if op.told else {}


def _as_kind(op: Op, out: Any, kind: type) -> Any:
    out = out if type(out) is kind else np.asarray(out)
    return np.ascontiguousarray(out) if op.ordered and kind is np.ndarray and out.ndim > 1 else out


def _single(
    op: Op, args: Any, arrays: Any, parents: Any, cells: Any, params: Any, out: Any, recorded: Any, hidden: Any = None
) -> Tensor:
    tensor = wrap(out)
    if op.view:
        base = args[0]
        tensor._base, tensor._view = base, (op, params) if state.grad else None
        tensor._written, tensor._synced = base._written, base._written[0]
    if recorded:
        attach(tensor, _node(op, arrays, parents, cells, params, out, tensor._written, hidden))
    return tensor


def _several(
    op: Op, arrays: Any, parents: Any, cells: Any, params: Any, outs: Any, recorded: Any
) -> tuple[Tensor, ...]:
    tensors = tuple(wrap(out) for out in outs)
    if recorded:
        node = _node(op, arrays, parents, cells, params, outs, [t._written for t in tensors])
        for k, tensor in enumerate(tensors):
            if tensor._array.dtype in FLOATS:
                attach(tensor, pick(node, k))
    return tensors


def _node(
    op: Op, arrays: Any, parents: Any, cells: Any, params: Any, out: Any, out_cell: Any, hidden: Any = None
) -> Node:
    saved: list[Any] = []
    saved_cells: list[Any] = []
    for source, index, needed_by in op.saved:
        needed = op.variadic or any(parents[i] is not None for i in needed_by)
        value, cell = _saved_value(source, index, arrays, cells, out, out_cell, hidden) if needed else (None, None)
        saved.append(value)
        saved_cells.append(cell)
    several = op.outputs != 1
    shape = tuple(o.shape for o in out) if several else out.shape
    dtype = tuple(o.dtype for o in out) if several else out.dtype
    values = tuple({**op.params, **params}.values())
    return Node(op, tuple(parents), tuple(saved), tuple(saved_cells), values, shape, dtype)


def shows(hidden: Any, out: Any) -> bool:
    """Whether the last of what an op hides is its output, which users may write."""
    return bool(hidden) and hidden[-1] is out


def _saved_value(
    source: str, index: int, arrays: Any, cells: Any, out: Any, out_cell: Any, hidden: Any
) -> tuple[Any, Any]:
    if source == "in":
        return arrays[index], cells[index]
    if source == "shape":
        return arrays[index].shape, None
    if source == "out":
        return out, out_cell
    if source == "hidden":
        return hidden, out_cell if shows(hidden, out) else None
    if source == "ins":
        return tuple(arrays), tuple(cells)
    return tuple(a.shape for a in arrays), None  # "shapes"


def pick(node: Node, index: int) -> Node:
    """The node of output `index` of a node with several outputs: the walk puts its cotangent in slot `index`."""
    return Node(PICK, (node,), (), (), (index,), node.shape[index], node.dtype[index])


def pick_hidden(node: Node, hidden: Any) -> Node:
    """The node of the first array that `node` hides, for second derivatives."""
    return Node(PICK, (node,), (), (), (1,), hidden.shape, hidden.dtype)


def general(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Apply `op` to whatever the specialised path did not take: arrays, scalars, mixed dtypes, symbols."""
    kinds = [type(a) for a in args]
    for kind in kinds:
        if kind in SYMBOLIC:
            return SYMBOLIC[kind](op, args, params)
    if not any(isinstance(a, Tensor) for a in args):
        for kind in kinds:
            if kind in ARRAY_TYPES:
                made = op.impls[kind](*args, **params, **_told(op, False))
                return made[0] if op.hidden else made
    args = _on_one_device(op, tuple(_as_input(op, i, a) for i, a in enumerate(args)))
    if op.check is not None:
        op.check(*args)
    if op.promotes:
        args = promote(op, args)
    return run(op, args, params)


def _as_input(op: Op, index: int, x: Any) -> Any:
    """A Tensor, a Python scalar or None as it is; arrays as Tensors; anything else is a TypeError."""
    if isinstance(x, Tensor) or x is None:
        return x
    name = op.names[0 if op.variadic else index]
    promoted = not op.variadic and op.inputs[index] in op.promotes
    if promoted and len(op.inputs) > 1 and isinstance(x, (bool, int, float, complex)):
        scalar_dtype(x)  # complex is refused there
        return x
    if isinstance(x, np.generic) and promoted and len(op.inputs) > 1:
        return x.item()
    if type(x) in ARRAY_TYPES:
        from .core import canonical

        return wrap(canonical(x if not isinstance(x, np.generic) else np.asarray(x)))
    raise TypeError(f"{op.name}(): argument '{name}' (position {index + 1}) must be Tensor, not {type(x).__name__}")


def _on_one_device(op: Op, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """`args` with the values of 0-d CPU tensors where the others are; RuntimeError if these are on several devices."""
    tensors = [x for x in args if isinstance(x, Tensor)]
    if not tensors:
        raise TypeError(f"{op.name}(): expected a Tensor among the arguments, got {[type(a).__name__ for a in args]}")
    kinds = {type(x._array) for x in tensors}
    if len(kinds) == 1:
        return args
    kinds = {type(x._array) for x in tensors if x._array.ndim or type(x._array) is not np.ndarray}
    devices = {str(array_device(x._array)): array_device(x._array) for x in tensors if type(x._array) in kinds}
    if len(devices) > 1:
        first, second, *_ = devices
        raise on_two_devices(first, second, op.name)
    from .ops.transfer import beside

    (device,) = devices.values()
    return tuple(beside(x, device) if isinstance(x, Tensor) else x for x in args)


def promote(op: Op, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Bring the promoted inputs to one dtype, by PyTorch's rules; Python scalars stay scalars where they are weak."""
    from .ops.cast import cast

    chosen = [op.variadic or name in op.promotes for name in (op.inputs if not op.variadic else op.inputs * len(args))]
    parts = []
    for x, yes in zip(args, chosen, strict=True):
        if yes and isinstance(x, Tensor):
            parts.append((as_dtype(x._array.dtype), 2 if x._array.ndim else 1))
        elif yes and x is not None:
            parts.append((scalar_dtype(x), 0))
    common = result_type_of(parts)
    if op.to_float and not common.is_floating_point:
        common = get_default_dtype()
    target = common.numpy
    return tuple(
        x if not yes or x is None else cast(x, target) if isinstance(x, Tensor) else weak(x, target)
        for x, yes in zip(args, chosen, strict=True)
    )


def weak(x: Any, target: Any) -> Any:
    """A Python scalar that NumPy will let take the dtype `target`; an int that does not fit wraps around."""
    return x if type(x) in WEAK[target] else np.asarray(x).astype(target)[()]


def _pick_body(x: Any, *, index: int) -> Any:
    raise AssertionError("pick is only ever a node of the tape")


PICK = Op(_pick_body, name="pick")

__all__ = [
    "CPU",
    "PICK",
    "REGISTRY",
    "SYMBOLIC",
    "Impls",
    "Op",
    "general",
    "last_write",
    "new",
    "op",
    "pick",
    "run",
    "tick",
]
