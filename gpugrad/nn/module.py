"""`Module`: a tree of layers with parameters, buffers and hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .. import dtypes
from ..core import Tensor
from ..device import Device
from ..hooks import RemovableHandle, _Hooks, add_hook
from .backward_hooks import Watch
from .parameter import Buffer, Parameter
from .state import StateMixin

_TABLES = ("_parameters", "_buffers", "_modules")


class Module(StateMixin):
    """Base class of all layers and networks: assign parameters and submodules as attributes, write `forward`."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _hooked: bool  # whether a call must look for hooks at all
    _forward_hooks: _Hooks
    _forward_pre_hooks: _Hooks
    _backward_hooks: _Hooks
    _backward_pre_hooks: _Hooks
    _state_dict_pre_hooks: _Hooks
    _state_dict_hooks: _Hooks
    _load_state_dict_pre_hooks: _Hooks
    _load_state_dict_post_hooks: _Hooks

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs:
            name = next(iter(kwargs))
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{name}'")
        if args:
            given = len(args) + 1
            raise TypeError(f"{type(self).__name__}.__init__() takes 1 positional argument but {given} were given")
        state = self.__dict__
        state["training"] = True
        for table in _TABLES:
            state[table] = {}
        state["_non_persistent_buffers_set"] = set()
        state["_hooked"] = False
        for hooks in (
            "_forward_hooks",
            "_forward_pre_hooks",
            "_backward_hooks",
            "_backward_pre_hooks",
            "_state_dict_pre_hooks",
            "_state_dict_hooks",
            "_load_state_dict_pre_hooks",
            "_load_state_dict_post_hooks",
        ):
            state[hooks] = _Hooks()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooked:
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    # ------------------------------------------------------------------------------------------------- attributes

    def __getattr__(self, name: str) -> Any:
        for table in _TABLES:
            found = self.__dict__.get(table)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        if isinstance(value, Parameter):
            self._make_way(name, "_parameters", "parameters")
            self.register_parameter(name, value)
        elif name in state.get("_parameters", ()):
            self._replace("_parameters", name, value, "parameter", "gpugrad.nn.Parameter")
        elif isinstance(value, Module):
            self._make_way(name, "_modules", "module")
            self._modules[name] = value
        elif name in state.get("_modules", ()):
            self._replace("_modules", name, value, "child module", "gpugrad.nn.Module")
        elif isinstance(value, Buffer):
            self._make_way(name, "_buffers", "buffer")
            self.register_buffer(name, value, value.persistent)
        elif name in state.get("_buffers", ()):
            if isinstance(value, Tensor):
                self._buffers[name] = value
            else:
                self._replace("_buffers", name, value, "buffer", "gpugrad.nn.Buffer, gpugrad.Tensor")
        else:
            object.__setattr__(self, name, value)

    def _replace(self, table: str, name: str, value: Any, kind: str, expected: str) -> None:
        """Put None in the place of a registered value; anything else is an error."""
        if value is not None:
            raise TypeError(f"cannot assign '{type_name(value)}' as {kind} '{name}' ({expected} or None expected)")
        self.__dict__[table][name] = None

    def _make_way(self, name: str, table: str, what: str) -> None:
        """Drop what is known under `name` in any other table, so that it can become something of another kind."""
        if table not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if table != "_modules" and hasattr(type(self), name):
            raise KeyError(f"attribute '{name}' already exists")
        self.__dict__.pop(name, None)
        for other in _TABLES:
            if other != table:
                self.__dict__[other].pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        for table in _TABLES:
            if name in self.__dict__[table]:
                del self.__dict__[table][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = set(super().__dir__())
        for table in _TABLES:
            names.update(self.__dict__[table])
        return sorted(n for n in names if not n[:1].isdigit())

    def _check_name(self, name: str, table: str, what: str) -> None:
        if table not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type_name(name)}")
        if "." in name:
            got = f", got: {name}" if what == "module" else ""
            raise KeyError(f'{what} name can\'t contain "."{got}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if hasattr(self, name) and name not in self.__dict__[table]:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter (None: the name is reserved).

        KeyError if the name is taken, empty or has a dot; TypeError if `param` is not a Parameter.
        """
        self._check_name(name, "_parameters", "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type_name(param)}' object to parameter '{name}' "
                "(gpugrad.nn.Parameter or None required)"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a buffer: saved in `state_dict` if `persistent`, moved with the module, not trained.

        KeyError if the name is taken, empty or has a dot; TypeError if `tensor` is not a Tensor.
        """
        self._check_name(name, "_buffers", "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type_name(tensor)}' object to buffer '{name}' (gpugrad Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under `name`.

        KeyError if the name is taken, empty or has a dot; TypeError if `module` is not a Module.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type_name(module)} is not a Module subclass")
        self._check_name(name, "_modules", "module")
        self._modules[name] = module

    register_module = add_module

    def get_submodule(self, target: str) -> Module:
        """The submodule at a dotted path; AttributeError if there is none."""
        module: Module = self
        for part in target.split(".") if target else []:
            found = module._get(part)
            if not isinstance(found, Module):
                raise AttributeError(f"`{part}` is not an nn.Module")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path; AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._get(name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path; AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = module._get(name)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _get(self, name: str) -> Any:
        if not hasattr(self, name):
            raise AttributeError(f"{self._get_name()} has no attribute `{name}`")
        return getattr(self, name)

    # ---------------------------------------------------------------------------------------------- going through

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted names."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in module.__dict__[table].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def apply(self, fn: Callable[[Module], None]) -> Any:
        """Call `fn` on every module, children first."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Any:
        """Set training mode here and below: dropout drops, batch norm uses the batch's statistics."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Any:
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or fill them with zeros)."""
        for p in self.parameters():
            if p._grad is not None:
                if set_to_none:
                    p._grad = None
                else:
                    p._grad = p._grad.detach()
                    p._grad.zero_()

    # -------------------------------------------------------------------------------------------------- moving

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Any:
        """Replace every array by that of `fn(tensor)`; parameters keep their identity."""
        for module in self.modules():
            for p in module._parameters.values():
                if p is not None:
                    p.data = _checked(p, fn(p.detach()))
                    if p._grad is not None:
                        p._grad = fn(p._grad.detach())
            for name, b in module._buffers.items():
                if b is not None:
                    module._buffers[name] = fn(b)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Move and convert parameters and buffers: `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`.

        Only floating tensors change dtype. TypeError for a dtype that is not floating.
        """
        device, dtype = _parse_to(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        return self._apply(lambda t: t.to(device=device, dtype=dtype if t.is_floating_point() else None))

    def float(self) -> Any:
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self) -> Any:
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self) -> Any:
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self) -> Any:
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def type(self, dst_type: Any) -> Any:
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self) -> Any:
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Any:
        return self._apply(lambda t: t.cuda(device))

    def share_memory(self) -> Any:
        return self

    # ---------------------------------------------------------------------------------------------------- hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """`hook(module, args)` before `forward`; what it returns replaces the arguments."""
        return self._add_hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """`hook(module, args, output)` after `forward`; what it returns replaces the output.

        With `always_call` it runs, with output None, even if `forward` or an earlier hook raised.
        """
        return self._add_hook(self._forward_hooks, (hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_input, grad_output)` when the gradients of the inputs have been computed."""
        return self._add_hook(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_output)` before the gradients of the module are computed."""
        return self._add_hook(self._backward_pre_hooks, hook, prepend)

    def _add_hook(self, hooks: _Hooks, hook: Any, prepend: bool) -> RemovableHandle:
        self.__dict__["_hooked"] = True
        handle = add_hook(hooks, hook)
        if prepend:
            others = {k: hooks.pop(k) for k in [k for k in hooks if k != handle.id]}
            hooks.update(others)
        return handle

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        done: set[int] = set()
        try:
            return self._run_hooks(args, kwargs, done)
        except Exception:
            for number, (hook, with_kwargs, always_call) in tuple(self._forward_hooks.items()):
                if always_call and number not in done:
                    hook(self, args, kwargs, None) if with_kwargs else hook(self, args, None)
            raise

    def _run_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any], done: set[int]) -> Any:
        """A call with its hooks; `done` collects the forward hooks that were reached."""
        args, kwargs = self._run_pre_hooks(args, kwargs)
        watch = None
        if self._backward_hooks or self._backward_pre_hooks:
            watch = Watch(self)
            args = watch.inputs(args)
        output = self.forward(*args, **kwargs)
        for number, (hook, with_kwargs, _) in tuple(self._forward_hooks.items()):
            done.add(number)
            result = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
            output = output if result is None else result
        return output if watch is None else watch.outputs(output)

    def _run_pre_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for hook, with_kwargs in tuple(self._forward_pre_hooks.values()):
            result = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if result is None:
                continue
            if not with_kwargs:
                args = result if isinstance(result, tuple) else (result,)
            elif isinstance(result, tuple) and len(result) == 2:
                args, kwargs = result
            else:
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}."
                )
        return args, kwargs

    # ------------------------------------------------------------------------------------------------- printing

    def extra_repr(self) -> str:
        """What stands between the brackets; layers override it."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + repr(m).replace("\n", "\n  ") for name, m in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"


def type_name(value: Any) -> str:
    """What an error calls the type of `value`: "gpugrad.FloatTensor", "int", "package.Class"."""
    if isinstance(value, Tensor):
        return value.type()
    described = value if hasattr(value, "__qualname__") else type(value)
    module = getattr(described, "__module__", "")
    return described.__qualname__ if module in ("", "builtins") else f"{module}.{described.__qualname__}"


def _checked(parameter: Parameter, data: Tensor) -> Tensor:
    if parameter._requires_grad and not data.is_floating_point():
        raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
    return data


def _parse_to(
    *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> tuple[Any, Any]:
    """Device and dtype in the arguments of `Module.to`."""
    for arg in args:
        if isinstance(arg, (dtypes.dtype, type)):
            dtype = arg
        elif isinstance(arg, (str, int, Device)) and not isinstance(arg, bool):
            device = arg
        elif isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif arg is not None and not isinstance(arg, bool):
            raise TypeError(f"to(): expected a dtype, a device or a tensor, got {arg!r}")
    return device, None if dtype is None else dtypes.as_dtype(dtype)
