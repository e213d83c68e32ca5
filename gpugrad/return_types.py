"""Named tuples of ops with several results, printed as PyTorch prints its own."""

from __future__ import annotations

from collections import namedtuple
from typing import Any


def return_type(name: str, fields: str) -> Any:
    """A named tuple class shown as `gpugrad.return_types.name(...)`, one field to a line."""
    base = namedtuple(name, fields.split())  # type: ignore[misc]

    def __repr__(self: Any) -> str:
        lines = ",\n".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
        return f"gpugrad.return_types.{name}(\n{lines})"

    return type(name, (base,), {"__slots__": (), "__repr__": __repr__, "__module__": __name__})


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
