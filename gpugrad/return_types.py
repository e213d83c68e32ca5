"""Named tuples of ops with several results, printed as PyTorch prints its own."""

from __future__ import annotations

from operator import itemgetter
from typing import Any


class ReturnType(tuple[Any, ...]):
    """A tuple whose elements have names. `collections.namedtuple` would compile code for each class, at every import."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __new__(cls, *values: Any) -> Any:
        """One value per field; TypeError for another number of them."""
        if len(values) != len(cls._fields):
            raise TypeError(f"{cls.__name__}(): expected {', '.join(cls._fields)}, got {len(values)} values")
        return tuple.__new__(cls, values)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        lines = ",\n".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
        return f"gpugrad.return_types.{type(self).__name__}(\n{lines})"


def return_type(name: str, fields: str) -> Any:
    """A named tuple class shown as `gpugrad.return_types.name(...)`, one field to a line."""
    names = tuple(fields.split())
    getters = {field: property(itemgetter(i)) for i, field in enumerate(names)}
    return type(name, (ReturnType,), {"__slots__": (), "_fields": names, "__module__": __name__, **getters})


max = return_type("max", "values indices")  # noqa: A001
min = return_type("min", "values indices")  # noqa: A001
sort = return_type("sort", "values indices")
topk = return_type("topk", "values indices")
kthvalue = return_type("kthvalue", "values indices")
median = return_type("median", "values indices")
nanmedian = return_type("nanmedian", "values indices")
mode = return_type("mode", "values indices")
cummax = return_type("cummax", "values indices")
cummin = return_type("cummin", "values indices")
aminmax = return_type("aminmax", "min max")
histogram = return_type("histogram", "hist bin_edges")
