"""The base of all optimizers: parameter groups, state, hooks, saving and loading."""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

from ..core import Tensor, mark_written, wrap
from ..device import apart, array_device, on_one_device
from ..hooks import RemovableHandle, add_hook
from ..hooks import _Hooks as Hooks
from ..modes import enable_grad
from ..ops.update_blocks import Workspace, numbers_beside, zeros_beside

Params = Iterable[Any]  # Tensors, (name, Tensor) pairs, or dicts with "params" and the options of a group
Closure = Callable[[], Any]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()
_global_pre_hooks, _global_post_hooks = Hooks(), Hooks()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before each step of every optimizer; it may return new (args, kwargs)."""
    return add_hook(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after each step of every optimizer."""
    return add_hook(_global_post_hooks, hook)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` between the hooks registered for it."""

    @functools.wraps(step)
    def wrapped(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if _global_pre_hooks or self._optimizer_step_pre_hooks:
            args, kwargs = _run_pre_hooks(self, step, args, kwargs)
        out = step(self, *args, **kwargs)
        self._opt_called = True
        if _global_post_hooks or self._optimizer_step_post_hooks:
            for hook in (*self._optimizer_step_post_hooks.values(), *_global_post_hooks.values()):
                hook(self, args, kwargs)
        return out

    return wrapped


def _run_pre_hooks(self: Optimizer, step: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    for hook in (*_global_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
        changed = hook(self, args, kwargs)
        if changed is None:
            continue
        if not isinstance(changed, tuple) or len(changed) != 2:
            raise RuntimeError(f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}.")
        args, kwargs = changed
    return args, kwargs


def number(value: Any) -> Any:
    """An option that may be a Tensor of one element, as a Python number."""
    return value.item() if isinstance(value, Tensor) else value


def rate(lr: Any, params: Sequence[Tensor]) -> Any:
    """A learning rate as a number, or as the array of a Tensor beside `params` on a device: nobody waits for it there."""
    return lr._array if isinstance(lr, Tensor) and lr.is_cuda and params[0].is_cuda else number(lr)


def _numbers(first: Any, params: list[Tensor]) -> list[Any]:
    """A single number `first` for each of `params`, beside them."""
    return numbers_beside(params[0]._array, count=len(params), fill=first)


def check_lr(lr: Any) -> None:
    """ValueError unless `lr` is a number >= 0 or a Tensor of one element."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check_at_least_zero("learning rate", lr)


def check_at_least_zero(what: str, value: Any) -> None:
    """ValueError unless `value` is at least 0."""
    if not number(value) >= 0:
        raise ValueError(f"Invalid {what}: {value}")


def check_betas(betas: tuple[Any, Any]) -> None:
    """ValueError unless both are in [0, 1)."""
    for i in (0, 1):
        if not 0 <= number(betas[i]) < 1:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


def check_modes(*, foreach: Any = None, fused: Any = None, differentiable: bool = False) -> None:
    """RuntimeError for modes that exclude each other. All of them compute the same here."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise NotImplementedError(
            "differentiable=True: a step writes into the parameters and is not recorded; to differentiate through an "
            "update, write it with tensor operations, as in w = w - lr * grad"
        )


class Optimizer:
    """The base of all optimizers; a subclass gives defaults and a `step`.

    `params` is an iterable of leaf Tensors, of (name, Tensor) pairs or of dicts, one for each group. `param_groups` is
    the list of groups, whose options may be changed at any time; `state` maps a parameter to its state. Raises
    TypeError and ValueError for parameters that cannot be optimized.
    """

    _opt_called = False  # whether a step has been taken: learning-rate schedulers ask
    # Whether a `step` on a CUDA device is skipped there, without the host, if `found_inf` (0-d, beside the parameters) is
    # not 0: true of steps that do nothing but `_update`. `amp.GradScaler` sets it for the time of a step.
    _skips_on_device: Any = False
    found_inf: Tensor | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            if "_skips_on_device" not in cls.__dict__:
                cls._skips_on_device = False
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{_typename(params)}"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._forget_workings()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _forget_workings(self) -> None:
        """Set up what is not saved: hooks and workspaces."""
        self._optimizer_step_pre_hooks = Hooks()
        self._optimizer_step_post_hooks = Hooks()
        self._state_dict_pre_hooks = Hooks()
        self._state_dict_post_hooks = Hooks()
        self._load_state_dict_pre_hooks = Hooks()
        self._load_state_dict_post_hooks = Hooks()
        self._workspaces: defaultdict[Any, Workspace] = defaultdict(Workspace)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_workspaces" not in self.__dict__:
            self._forget_workings()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # ------------------------------------------------------------------------------------------------- stepping

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters that have a gradient; `closure` computes the loss anew and is what is returned."""
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or with `set_to_none=False` fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p._grad = p._grad.detach()
                    p._grad.zero_()

    def _loss(self, closure: Closure | None) -> Any:
        if closure is None:
            return None
        with enable_grad():
            return closure()

    def _groups(self) -> Iterable[tuple[dict[str, Any], list[Tensor]]]:
        """Each group with those of its parameters that have a gradient, by device, if there are any.

        The states are where the parameters are.
        """
        for group in self.param_groups:
            params = [p for p in group["params"] if p._grad is not None]
            arrays = [p._array for p in params]
            if on_one_device(arrays):
                if params:
                    self._take_along(params)
                    yield group, params
            else:  # parameters on two devices are updated apart
                for device in dict.fromkeys(map(array_device, arrays)):
                    there = [p for p, x in zip(params, arrays) if array_device(x) == device]
                    self._take_along(there)
                    yield group, there

    def _take_along(self, params: list[Tensor]) -> None:
        """Move the states of `params` to their device, if they were moved there after the first step."""
        first = params[0]
        for value in self.state[first].values() if first in self.state else ():
            if isinstance(value, Tensor):
                if apart(value._array, first._array):
                    self.state.update({p: _follow(p, self.state[p]) for p in params})
                    self._workspaces.clear()
                return

    def _update(
        self,
        function: Any,
        params: list[Tensor],
        names: Sequence[str],
        *,
        fill: float = 0.0,
        counts: bool = True,
        numbers: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Run an op of `ops.optimizer_updates` on `params`, their gradients and the states of these names.

        States that are missing are made first, of `fill`; `counts`: the op counts steps; `numbers`: what else it keeps
        of each parameter in one number, and what that is at first.
        """
        columns = [[p._array for p in params], [p._grad._array for p in params]]  # type: ignore[union-attr]
        kept = []
        for name, first in {"step": 0.0, **(numbers or {})}.items() if counts else ():
            kept += self._column(params, name, functools.partial(_numbers, first))
        for name in names:
            columns.append(
                self._column(params, name, lambda fresh: zeros_beside(*[p._array for p in fresh], fill=fill))
            )
        workspace = self._workspaces[id(params[0]), len(params)]
        workspace.found_inf = None if self.found_inf is None else self.found_inf._array
        function(*chain.from_iterable(columns), *kept, workspace=workspace, **options)
        mark_written(*params)

    def _column(self, params: list[Tensor], name: str, make: Callable[[list[Tensor]], list[Any]]) -> list[Any]:
        """The arrays of one state of `params`; `make` gives those that are missing."""
        state = self.state
        try:
            return [state[p][name]._array for p in params]
        except (KeyError, AttributeError):  # missing, or None
            fresh = [p for p in params if state[p].get(name) is None]
        for p, array in zip(fresh, make(fresh)):
            state[p][name] = wrap(array)
        return [state[p][name]._array for p in params]

    # --------------------------------------------------------------------------------------------------- groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict with "params" and any options; the others are the defaults.

        TypeError or ValueError, before anything is added, for what cannot be optimized or already is.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params, names = _named(param_group["params"])
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_typename(p)}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "list each parameter once",
                stacklevel=3,
            )
        for group in self.param_groups:
            if bool(names) != ("param_names" in group):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with' if names else 'without'} names to the optimizer"
                )
            if not set(params).isdisjoint(group["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    # ------------------------------------------------------------------------------------------ saving, loading

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups as plain dicts, with numbers in the place of parameters; tensors are not copied."""
        for hook in self._state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed = {key: value for key, value in group.items() if key != "params"}
            groups.append({**packed, "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(k)] if isinstance(k, Tensor) else k: value for k, value in self.state.items()}
        out: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._state_dict_post_hooks.values():
            out = hook(self, out) or out
        return out

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave: copies, in the dtype and on the device of the parameters.

        ValueError, with nothing changed, if the groups differ in number or in size.
        """
        state_dict = state_dict.copy()
        for hook in self._load_state_dict_pre_hooks.values():
            state_dict = hook(self, state_dict) or state_dict
        saved = deepcopy(state_dict["param_groups"])
        if len(self.param_groups) != len(saved):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, "
                f"not {len(self.param_groups)}"
            )
        for mine, theirs in zip(self.param_groups, saved):
            if len(mine["params"]) != len(theirs["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"{len(theirs['params'])} parameters, not {len(mine['params'])}"
                )
        by_number = {
            n: p for mine, theirs in zip(self.param_groups, saved) for n, p in zip(theirs["params"], mine["params"])
        }
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                state[by_number[key]] = _follow(by_number[key], value)
            else:
                state[key] = value
        for mine, theirs in zip(self.param_groups, saved):
            theirs["params"] = mine["params"]
            if "param_names" in mine:
                theirs.setdefault("param_names", mine["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._load_state_dict_post_hooks.values():
            hook(self)

    # ---------------------------------------------------------------------------------------------------- hooks

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs)."""
        return add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., None], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict`."""
        return _add(self._state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` after `state_dict`; it may return another dict."""
        return _add(self._state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before `load_state_dict`; it may return another dict."""
        return _add(self._load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after `load_state_dict`."""
        return _add(self._load_state_dict_post_hooks, hook, prepend)


def _add(hooks: Hooks, hook: Callable[..., Any], prepend: bool) -> RemovableHandle:
    handle = add_hook(hooks, hook)
    if prepend:
        others = {key: value for key, value in hooks.items() if key != handle.id}
        hooks.clear()
        hooks[handle.id] = hook
        hooks.update(others)
    return handle


def _named(params: Any) -> tuple[list[Any], list[str]]:
    """The parameters, and their names if they came as (name, parameter) pairs."""
    if isinstance(params, Tensor):
        return [params], []
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
            "will change between runs. Please use a list instead."
        )
    given = list(params)
    names = [p[0] for p in given if isinstance(p, tuple)]
    if names and len(names) != len(given):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return [p[1] if isinstance(p, tuple) else p for p in given], names


def _follow(param: Tensor, value: Any, key: Any = None) -> Any:
    """A copy of a state in which tensors have the device of `param`, and its dtype, except for the count of steps."""
    if isinstance(value, Tensor):
        dtype = param.dtype if param.is_floating_point() and key != "step" else value.dtype
        return value.detach().to(device=param.device, dtype=dtype, copy=True)
    if isinstance(value, dict):
        return {k: _follow(param, v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_follow(param, v) for v in value)
    return value


def _typename(x: Any) -> str:
    kind = type(x)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
