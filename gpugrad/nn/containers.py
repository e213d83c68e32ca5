"""Containers: Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any

from ..core import Tensor
from ..modes import state
from . import perceptron
from .module import Module, type_name
from .parameter import Parameter


class _Indexed(Module):
    """Children under the names "0", "1", ...: a list of modules."""

    def _name_of(self, index: Any) -> str:
        count = len(self._modules)
        index = operator.index(index)
        if not -count <= index < count:
            raise IndexError(f"index {index} is out of range")
        return next(islice(self._modules, index % count, None))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._of(dict(list(self._modules.items())[index]))
        return self._modules[self._name_of(index)]

    def _of(self, named: dict[str, Any]) -> Any:
        """A container of the same class with these children."""
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_of(index), module)

    def __delitem__(self, index: Any) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name_of(index)]
        for name in names:
            del self._modules[name]
        self._renumber(self._modules.values())

    def _renumber(self, modules: Iterable[Any]) -> None:
        self.__dict__["_modules"] = {str(i): m for i, m in enumerate(modules)}

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def append(self, module: Module) -> Any:
        """Add one module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add several modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before the one at `index`; IndexError if there is no such place."""
        count = len(self)
        if not -count <= index <= count:
            raise IndexError(f"Index out of range: {index}")
        if not isinstance(module, Module):
            raise TypeError(f"module should be of type: {Module}")
        items = list(self)
        items.insert(index, module)
        self._renumber(items)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take out the module at `index` and return it."""
        module = self[index]
        del self[index]
        return module

    def __add__(self, other: Iterable[Module]) -> Any:
        return self._of({str(i): m for i, m in enumerate([*self, *other])})

    def __iadd__(self, other: Iterable[Module]) -> Any:
        return self.extend(other)


class Sequential(_Indexed):
    """Modules applied one after the other: `Sequential(a, b)` or `Sequential(OrderedDict(first=a, second=b))`.

    When gradients are recorded, linear layers with an activation between them are computed as one op, unless a hook is
    to see what goes from one to the next.
    """

    _planned: list[Any] = []  # noqa: RUF012  (the modules for which the plan was made; never changed in place)
    _plan: list[Any] = []  # noqa: RUF012

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def _of(self, named: dict[str, Any]) -> Any:
        return type(self)(OrderedDict(named))

    def __mul__(self, times: int) -> Any:
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(times)}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")
        return type(self)(*list(self) * times)

    __rmul__ = __mul__

    def forward(self, input: Any) -> Any:
        modules: list[Any] = list(self._modules.values())
        if state.grad is True and perceptron.together:  # recorded, and not to be shown one by one
            if self._planned != modules:
                self.__dict__.update(_planned=modules, _plan=perceptron.runs(modules))
            modules = self._plan
        output = input
        for module in modules:
            output = module(output)
        return output

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_planned", "_plan")}


class ModuleList(_Indexed):
    """A list of modules, registered as children."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _of(self, named: dict[str, Any]) -> Any:
        return type(self)(named.values())

    def __repr__(self) -> str:
        lines = []
        start = 0
        for text, group in groupby(repr(module) for module in self):
            count = len(list(group))
            label = f"({start}): " if count == 1 else f"({start}-{start + count - 1}): {count} x "
            lines.append((label + text).replace("\n", "\n  "))
            start += count
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{self._get_name()}()"


class _Named:
    """The dictionary interface of a table of a Module, named by `_table`."""

    _table: str

    def _entries(self) -> dict[str, Any]:
        return self.__dict__[self._table]

    def __getitem__(self, key: str) -> Any:
        return self._entries()[key]

    def __delitem__(self, key: str) -> None:
        del self._entries()[key]

    def __len__(self) -> int:
        return len(self._entries())

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __contains__(self, key: str) -> bool:
        return key in self._entries()

    def clear(self) -> None:
        """Take everything out."""
        self._entries().clear()

    def pop(self, key: str) -> Any:
        """Take out what is under `key` and return it; KeyError if there is nothing."""
        return self._entries().pop(key)

    def keys(self) -> Any:
        return self._entries().keys()

    def items(self) -> Any:
        return self._entries().items()

    def values(self) -> Any:
        return self._entries().values()

    def __setitem__(self, key: str, value: Any) -> None:
        raise NotImplementedError

    def update(self, entries: Any) -> None:
        """Set every entry of a mapping or of an iterable of pairs."""
        for key, value in entries.items() if hasattr(entries, "items") else entries:
            self[key] = value


class ModuleDict(_Named, Module):
    """A dictionary of modules, registered as children."""

    _table = "_modules"

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)


def _as_parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _describe(entries: Iterable[tuple[Any, Any]], kind: Callable[[Tensor], str]) -> str:
    """The lines that list parameters, one for each."""
    lines = []
    for name, p in entries:
        device = f" ({p.device})" if p.is_cuda else ""
        lines.append(f"  ({name}): Parameter containing: [{kind(p)} of size {'x'.join(map(str, p.shape))}{device}]")
    return "\n".join(lines)


class ParameterList(Module):
    """A list of parameters, registered; tensors become parameters."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def _name_of(self, index: Any) -> str:
        count = len(self)
        index = operator.index(index)
        if not -count <= index < count:
            raise IndexError(f"index {index} is out of range")
        return str(index % count)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._parameters[self._name_of(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        self.register_parameter(self._name_of(index), _as_parameter(value))

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parameters.values())

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add one parameter at the end."""
        self.register_parameter(str(len(self)), _as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add several parameters at the end."""
        for value in values:
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return _describe(enumerate(self), lambda p: str(p.dtype))


class ParameterDict(_Named, Module):
    """A dictionary of parameters, registered; tensors become parameters."""

    _table = "_parameters"

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def __setitem__(self, key: str, value: Any) -> None:
        self.register_parameter(key, _as_parameter(value))

    def get(self, key: str, default: Any = None) -> Any:
        """What is under `key`, else `default`."""
        return self._parameters.get(key, default)

    def extra_repr(self) -> str:
        return _describe(self.items(), type_name)
