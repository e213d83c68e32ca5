"""`state_dict` and `load_state_dict`, the half of Module that is about saving."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core import Tensor
from ..hooks import RemovableHandle, add_hook
from ..modes import no_grad
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class _IncompatibleKeys(_Keys):
    """What `load_state_dict` found missing and unexpected."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()


class StateMixin:
    """Saving and loading of a Module's parameters and persistent buffers."""

    def get_extra_state(self) -> Any:
        raise RuntimeError("get_extra_state was called but the module does not define it")

    def set_extra_state(self, state: Any) -> None:
        raise RuntimeError("set_extra_state was called but the module does not define it")

    def _own_state(self: Any) -> Iterator[tuple[str, Tensor]]:
        """Parameters and persistent buffers of this module alone."""
        for name, p in self._parameters.items():
            if p is not None:
                yield name, p
        for name, b in self._buffers.items():
            if b is not None and name not in self._non_persistent_buffers_set:
                yield name, b

    def state_dict(self: Any, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers by dotted name, detached (unless `keep_vars`) but not copied."""
        if destination is None:
            destination = args[0] if args else OrderedDict()
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        for name, t in self._own_state():
            destination[prefix + name] = t if keep_vars else t.detach()
        if type(self).get_extra_state is not StateMixin.get_extra_state:
            destination[prefix + "_extra_state"] = self.get_extra_state()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            result = hook(self, destination, prefix, {})
            destination = destination if result is None else result
        return destination

    def register_state_dict_pre_hook(self: Any, hook: Any) -> RemovableHandle:
        """`hook(module, prefix, keep_vars)` before `state_dict`."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self: Any, hook: Any) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata)` after `state_dict`."""
        return add_hook(self._state_dict_hooks, hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self: Any, hook: Any) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before loading."""
        return add_hook(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self: Any, hook: Any) -> RemovableHandle:
        """`hook(module, incompatible_keys)` after loading."""
        return add_hook(self._load_state_dict_post_hooks, hook)

    def load_state_dict(self: Any, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Copy the values of `state_dict` into this module (`assign`: take its tensors).

        RuntimeError, before anything is changed, for sizes that differ and, if `strict`, keys missing or unexpected.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        state = OrderedDict(state_dict)
        found = _Report()
        for prefix, module in self.named_modules(remove_duplicate=False):
            _match(module, f"{prefix}." if prefix else "", state, found)
        complaints = found.complaints(strict)
        if complaints:
            listed = "\n\t".join(complaints)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        _put(found.copies, assign)
        for module, value in found.extra:
            module.set_extra_state(value)
        keys = _IncompatibleKeys(found.missing, found.unexpected)
        for module in self.modules():
            for hook in module._load_state_dict_post_hooks.values():
                hook(module, keys)
        return keys


class _Report:
    """What matching a state_dict with a module found."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.errors: list[str] = []
        self.copies: list[tuple[Module, str, Tensor, Tensor]] = []
        self.extra: list[tuple[Module, Any]] = []

    def complaints(self, strict: bool) -> list[str]:
        """What stands in the way of loading; missing and unexpected keys do so if `strict`."""
        lines = []
        for kind, keys in (("Missing", self.missing), ("Unexpected", self.unexpected)):
            if strict and keys:
                listed = ", ".join(f'"{key}"' for key in keys)
                lines.append(f"{kind} key(s) in state_dict: {listed}. ")
        return lines + self.errors


def _match(module: Any, prefix: str, state: Any, found: _Report) -> None:
    """Match what `state` has under `prefix` with this module's own state."""
    for hook in module._load_state_dict_pre_hooks.values():
        hook(module, state, prefix, {}, True, found.missing, found.unexpected, found.errors)
    own = dict(module._own_state())
    for name, target in own.items():
        if prefix + name in state:
            _match_one(module, name, prefix + name, target, state[prefix + name], found)
        else:
            found.missing.append(prefix + name)
    extra_key = prefix + "_extra_state"
    takes_extra = type(module).set_extra_state is not StateMixin.set_extra_state
    if takes_extra and extra_key in state:
        found.extra.append((module, state[extra_key]))
    elif takes_extra:
        found.missing.append(extra_key)
    for key in state:
        if key.startswith(prefix) and not (takes_extra and key == extra_key):
            name, dot, _ = key[len(prefix) :].partition(".")
            if name not in (module._modules if dot else own):
                found.unexpected.append(key)


def _match_one(module: Any, name: str, key: str, target: Tensor, value: Any, found: _Report) -> None:
    if not isinstance(value, Tensor):
        found.errors.append(
            f'While copying the parameter named "{key}", expected gpugrad.Tensor or Tensor-like object from checkpoint '
            f"but received {type(value)}"
        )
    elif tuple(value.shape) != tuple(target.shape):
        found.errors.append(
            f"size mismatch for {key}: copying a param with shape {_size(value)} from checkpoint, the shape in current "
            f"model is {_size(target)}."
        )
    else:
        found.copies.append((module, name, target, value))


def _size(tensor: Tensor) -> str:
    return f"gpugrad.Size({list(tensor.shape)})"


def _put(copies: list[tuple[Module, str, Tensor, Tensor]], assign: bool) -> None:
    """Write the values into the tensors they are for; with `assign`, put them in their place."""
    if assign:
        made = [_like(target, value) for _, _, target, value in copies]  # before any is in place: it may refuse
        for (module, name, _, _), value in zip(copies, made):
            setattr(module, name, value)
        return
    with no_grad():
        for _, _, target, value in copies:
            target.copy_(value)


def _like(target: Tensor, value: Tensor) -> Tensor:
    """`value` as a parameter if `target` is one."""
    if not isinstance(target, Parameter):
        return value
    if isinstance(value, Parameter):
        return value.requires_grad_(target.requires_grad)
    return Parameter(value.detach(), target.requires_grad)
