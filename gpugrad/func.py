"""Functions of functions, as `torch.func`: gradients, Jacobians, calls of modules with other parameters, `vmap`.

All are made of the tape. They nest, and what they return can be differentiated where what they were given can.
`vmap` calls the function for each slice: it says what it means, and does not make it faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import ops
from .core import Tensor, tick
from .engine import grad as _grad
from .engine import place
from .modes import enable_grad, no_grad
from .nn.module import Module
from .trees import leaves, map_leaves
from .walk import boundary

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "stack_module_state",
    "vjp",
    "vmap",
]

Function = Callable[..., Any]


# ---- gradients ----


def _fresh(t: Any) -> Any:
    """A tensor to differentiate by: on the tape after `t` if `t` is on it, so that what is outside is differentiable."""
    if not isinstance(t, Tensor) or not t.is_floating_point():
        return t
    return t.view_as(t) if t.requires_grad else t.detach().requires_grad_()


def _chosen(args: tuple[Any, ...], argnums: int | Sequence[int]) -> tuple[list[Any], Any]:
    """`args` with fresh tensors in those numbered, and these: one, or a tuple as `argnums` is."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    given = list(args)
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
        given[n] = map_leaves(_fresh, args[n])
    return given, given[argnums] if isinstance(argnums, int) else tuple(given[n] for n in numbers)


def _settled(results: Any, fresh: Any, since: int) -> Any:
    """`results`, off the tape unless something besides the `fresh` leaves can be differentiated by."""
    places = [p for t in leaves(results) if isinstance(t, Tensor) and (p := place(t)) is not None]
    own = {id(t) for t in leaves(fresh)}
    if any(id(began) not in own for began in boundary(places, since)):
        return results
    return map_leaves(lambda t: t.detach() if isinstance(t, Tensor) else t, results)


def _derivatives(output: Tensor, by: Any) -> Any:
    """The gradients of `output` by each leaf of `by`; zeros where it is not used."""
    if not output.requires_grad:
        return map_leaves(ops.zeros_like, by)
    found = iter(_grad([output], leaves(by), create_graph=True, materialize_grads=True))
    return map_leaves(lambda t: next(found), by)


def grad_and_value(func: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that gives the gradient of `func`, which returns a scalar, by argument `argnums`, and its value.

    With `has_aux` `func` returns (scalar, anything), and so does the value. RuntimeError for what is no scalar Tensor.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        since = tick()
        with enable_grad():
            given, by = _chosen(args, argnums)
            output = func(*given, **kwargs)
            value = output[0] if has_aux else output
            if not isinstance(value, Tensor) or value.ndim:
                raise RuntimeError(
                    "grad_and_value(func): expected func to return a scalar Tensor, got "
                    f"{f'shape {tuple(value.shape)}' if isinstance(value, Tensor) else type(value).__name__}"
                )
            grads = _derivatives(value, by)
        return _settled(grads, by, since), _settled(output, by, since)

    return run


def grad(func: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that gives the gradient of `func`; with `has_aux` (gradient, the rest of what `func` returned)."""
    both = grad_and_value(func, argnums, has_aux)

    def run(*args: Any, **kwargs: Any) -> Any:
        grads, value = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return run


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """What `func` gives for `primals`, and the function from its cotangents to theirs (and with `has_aux` the rest)."""
    since = tick()
    with enable_grad():
        by = map_leaves(_fresh, primals)
        output = func(*by)
        value, aux = output if has_aux else (output, None)

    def pull(*cotangents: Any) -> tuple[Any, ...]:
        given = leaves(cotangents)
        pairs = [(t, g) for t, g in zip(leaves(value), given, strict=True) if t.requires_grad]
        with enable_grad():
            outs, gs = [t for t, _ in pairs], [g for _, g in pairs]
            found = iter(_grad(outs, leaves(by), gs, create_graph=True, materialize_grads=True))
        return _settled(map_leaves(lambda t: next(found), by), by, since)

    settled = _settled(value, by, since)
    return (settled, pull, aux) if has_aux else (settled, pull)


def jvp(func: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...], *, has_aux: bool = False) -> Any:
    """What `func` gives for `primals`, and its derivative along `tangents`; by the gradient of the gradient."""
    since = tick()
    with enable_grad():
        by = map_leaves(_fresh, primals)
        output = func(*by)
        value, aux = output if has_aux else (output, None)
        weights = [ops.ones_like(t).requires_grad_() for t in leaves(value)]
        backwards = _grad(leaves(value), leaves(by), weights, create_graph=True, materialize_grads=True)
        along = sum(((g * v).sum() for g, v in zip(backwards, leaves(tangents), strict=True)), ops.zeros(()))
        moved = iter(_grad([along], weights, create_graph=True, materialize_grads=True))
        derivative = map_leaves(lambda t: next(moved), value)
    own = [by, weights]
    settled = _settled(value, own, since), _settled(derivative, own, since)
    return (*settled, aux) if has_aux else settled


def jacrev(func: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that gives the Jacobian of `func` by argument `argnums`: (*shape of the output, *of the input)."""

    def run(*args: Any, **kwargs: Any) -> Any:
        since = tick()
        with enable_grad():
            given, by = _chosen(args, argnums)
            output = func(*given, **kwargs)
            value, aux = output if has_aux else (output, None)
            found = map_leaves(lambda t: _jacobian(t, by), value)
        settled = _settled(found, by, since)
        return (settled, _settled(aux, by, since)) if has_aux else settled

    return run


def _jacobian(output: Tensor, by: Any) -> Any:
    if not output.numel():
        return map_leaves(lambda t: ops.zeros(*output.shape, *t.shape, dtype=t.dtype, device=t.device), by)
    rows = [_derivatives(element, by) for element in output.reshape(-1).unbind(0)]
    return map_leaves(lambda *parts: ops.stack(parts).reshape((*output.shape, *parts[0].shape)), *rows)


def jacfwd(func: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """`jacrev`: there is no forward mode here."""
    return jacrev(func, argnums, has_aux)


def hessian(func: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives the second derivatives of `func`: (*of the output, *of the input, *of the input)."""
    return jacrev(jacrev(func, argnums), argnums)


# ---- batches ----


def vmap(
    func: Function,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "different",
    *,
    chunk_size: int | None = None,
) -> Function:
    """The function that calls `func` for each slice of its arguments along `in_dims` and stacks what comes back.

    `in_dims` and `out_dims` are an int for all, or a tuple with an int, a None (not sliced) or a nest of these for each.
    Random numbers are drawn anew for each slice. ValueError if nothing is sliced, or sizes differ.
    """
    if randomness not in ("different", "error"):
        raise NotImplementedError(f"vmap(): randomness {randomness!r} is not there; each slice draws its own numbers")

    def run(*args: Any, **kwargs: Any) -> Any:
        dims = _for_each(in_dims, args)
        sizes = {t.shape[d] for t, d in _with_dims(args, dims) if d is not None}
        if not sizes:
            raise ValueError("vmap(): at least one argument must be mapped over: no in_dims is an int")
        if len(sizes) > 1:
            raise ValueError(f"vmap: Expected all tensors to have the same size in the mapped dimension, got {sizes}")
        rows = [func(*_slices(args, dims, i), **kwargs) for i in range(sizes.pop())]
        return _stacked(rows, out_dims)

    return run


def _for_each(dims: Any, tree: Any) -> Any:
    """`dims` in the shape of `tree`: an int or None stands for all that is below it."""
    if isinstance(dims, int) or dims is None:
        return map_leaves(lambda _: _Dim(dims), tree)
    if isinstance(dims, dict):
        return {key: _for_each(dims[key], value) for key, value in tree.items()}
    if len(dims) != len(tree):
        raise ValueError(
            f"vmap(): in_dims {dims} is not compatible with the structure of inputs, of which there are {len(tree)}"
        )
    return type(tree)([_for_each(d, value) for d, value in zip(dims, tree)])


class _Dim:
    """A dimension or None, as a leaf."""

    def __init__(self, dim: int | None) -> None:
        self.dim = dim


def _with_dims(tree: Any, dims: Any) -> list[tuple[Any, int | None]]:
    return [(t, d.dim) for t, d in zip(leaves(tree), leaves(dims))]


def _slices(args: Any, dims: Any, i: int) -> Any:
    return map_leaves(lambda t, d: t if d.dim is None else t.select(d.dim, i), args, dims)


def _stacked(rows: list[Any], out_dims: Any) -> Any:
    if isinstance(out_dims, tuple) and isinstance(rows[0], tuple):
        return tuple(_stacked(list(column), d) for column, d in zip(zip(*rows), out_dims, strict=True))
    return map_leaves(lambda *parts: ops.stack([_as_tensor(p) for p in parts], out_dims), *rows)


def _as_tensor(x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise ValueError(f"vmap(): the function must only return Tensors, got {type(x).__name__}")
    return x


# ---- modules ----


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with these tensors, by dotted name, in the place of its parameters and buffers.

    Several dicts count as one. With `tie_weights` a tensor that the module has under several names is replaced under all.
    With `strict` all parameters and buffers must be given, and nothing else: RuntimeError. The module is put back as it
    was, also after an error.
    """
    given: dict[str, Tensor] = {}
    for part in (
        [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, dict) else parameter_and_buffer_dicts
    ):
        given.update(part)
    slots = _slots(module)
    unknown, missing = [n for n in given if n not in slots], [n for n in slots if n not in given]
    if unknown or (strict and missing):
        raise RuntimeError(
            f"functional_call: the module has no {unknown}" if unknown else f"Missing key(s): {missing}."
        )
    if tie_weights:
        by_tensor = {id(slots[name][0][slots[name][1]]): value for name, value in given.items()}
        given = {name: by_tensor[id(d[key])] for name, (d, key) in slots.items() if id(d[key]) in by_tensor}
    before = [(*slots[name], slots[name][0][slots[name][1]]) for name in given]
    try:
        for name, value in given.items():
            place_of, key = slots[name]
            place_of[key] = value
        given_args = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*given_args, **(kwargs or {}))
    finally:
        for place_of, key, old in before:
            place_of[key] = old


def _slots(module: Module) -> dict[str, tuple[dict[str, Any], str]]:
    """Dotted names of parameters and buffers, with the dict each lies in."""
    return {
        f"{path}.{name}" if path else name: (kept, name)
        for path, part in module.named_modules(remove_duplicate=False)
        for kept in (part._parameters, part._buffers)
        for name, value in kept.items()
        if value is not None
    }


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters of `models`, all of one class, stacked by name, as new leaves; and their buffers.

    RuntimeError for no models or several classes.
    """
    if not models or len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected at least one model, and all of the same class")
    with no_grad():
        parameters = _stacked_by_name([dict(m.named_parameters()) for m in models])
        buffers = _stacked_by_name([dict(m.named_buffers()) for m in models])
    wanted = dict(models[0].named_parameters())
    return {name: t.requires_grad_(wanted[name].requires_grad) for name, t in parameters.items()}, buffers


def _stacked_by_name(tensors: list[dict[str, Any]]) -> dict[str, Tensor]:
    return {name: ops.stack([each[name] for each in tensors]) for name in tensors[0]}
