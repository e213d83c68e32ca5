"""How a tensor is printed: the text of `repr(tensor)`, laid out as PyTorch 2.13 lays it out.

The rules come in three steps. The elements that are shown (all of them, or the edges of a large array) choose one
notation and one width; the nested brackets are filled with them; suffixes (`dtype=`, `grad_fn=`, ...) follow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class PrintOptions:
    """What `set_printoptions` sets; the defaults are the profile "default"."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}

_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed. What is left None keeps its value, except `sci_mode`.

    Args:
        precision: digits after the decimal point.
        threshold: an array with more elements than this is summarised; `math.inf` shows all.
        edgeitems: how many elements a summary shows at either end of each dimension.
        linewidth: the column before which a line of elements is broken.
        profile: "default", "short" or "full"; it is applied first, the other arguments override it.
        sci_mode: True and False force scientific notation on and off. None (also when left out, as in PyTorch) lets
            the elements decide.

    Raises:
        TypeError: `threshold` is not a number, or one of the other three is not an int.
        ValueError: one of the four is negative, or `profile` is unknown.
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions(): unknown profile {profile!r}; choose one of {', '.join(_PROFILES)}")
    named = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    given: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for name, value in given.items():
        types, kind = ((int, float), "a number") if name == "threshold" else ((int,), "an int")
        if not isinstance(value, types):
            raise TypeError(f"set_printoptions(): {name} must be {kind}, got {value!r} ({type(value).__name__})")
        if value < 0:
            raise ValueError(f"set_printoptions(): {name} must not be negative, got {value}")
    base = _options if profile is None else _PROFILES[profile]
    _options = dataclasses.replace(base, **given, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """Return the current options as keyword arguments for `set_printoptions`."""
    return dataclasses.asdict(_options)


@contextlib.contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Set print options within a `with` block; arguments and errors are those of `set_printoptions`."""
    global _options
    saved = _options
    set_printoptions(**options)
    try:
        yield
    finally:
        _options = saved


class _Formatter:
    """Writes one element: every element of a tensor gets the same notation and is padded to the same width."""

    def __init__(self, values: list[Any], is_float: bool) -> None:
        self.spec, self.point = "", ""
        if is_float:
            # Zeros, infinities and NaNs take part neither in the choice of notation nor in that of the width.
            values = [value for value in values if value != 0 and math.isfinite(value)]
            self.spec, self.point = _notation(values)
        self.width = max((len(self._unpadded(value)) for value in values), default=1)

    def _unpadded(self, value: Any) -> str:
        if not self.spec:
            return str(value)
        text = format(value, self.spec)
        return text + self.point if math.isfinite(value) else text

    def text(self, value: Any) -> str:
        return self._unpadded(value).rjust(self.width)


def _notation(values: list[float]) -> tuple[str, str]:
    """Return the format specification for `values` (finite, non-zero) and what follows a formatted number."""
    integers = (".0f", ".")
    if not values:
        return integers
    smallest, largest = min(map(abs, values)), max(map(abs, values))
    scientific = _options.sci_mode
    if scientific is None:
        scientific = largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4
    if scientific:
        return f".{_options.precision}e", ""
    if all(value.is_integer() for value in values):
        return integers
    return f".{_options.precision}f", ""


def _shown_elements(array: np.ndarray, summarize: bool) -> np.ndarray:
    """Return the elements of `array` that are printed, as an array of bool, int or float64 of the same rank."""
    if summarize:
        edge = _options.edgeitems
        kept = [np.r_[:edge, n - edge : n] if n > 2 * edge else np.arange(n) for n in array.shape]
        array = array[np.ix_(*kept)]
    if array.dtype.kind in "biu":
        return array
    with np.errstate(invalid="ignore"):  # a signalling NaN would warn
        return array.astype(np.float64)


def _layout(values: list[Any], shape: tuple[int, ...], indent: int, summarize: bool, formatter: _Formatter) -> str:
    """Write nested `values` in brackets; a dimension of `shape` that was shortened gets an ellipsis in its middle.

    `indent` is the column of the opening bracket.
    """
    edge = _options.edgeitems
    elided = summarize and shape[0] > 2 * edge
    if len(shape) == 1:
        items = [formatter.text(value) for value in values]
        if elided:
            items.insert(edge, " ...")
        per_line = max(1, (_options.linewidth - indent) // (formatter.width + 2))
        rows = [", ".join(items[start : start + per_line]) for start in range(0, len(items), per_line)]
    else:
        rows = [_layout(value, shape[1:], indent + 1, summarize, formatter) for value in values]
        if elided:
            rows.insert(edge, "...")
    separator = "," + "\n" * max(1, len(shape) - 1) + " " * (indent + 1)
    return "[" + separator.join(rows) + "]"


def format_tensor(array: np.ndarray, *, indent: int = 7) -> str:
    """Write the elements of `array` (any shape; bool, integer or floating dtype, bfloat16 included) in brackets.

    `indent` is the column at which the text will begin: 7 after `tensor(`. Continuation lines are aligned with it.
    """
    if array.size == 0:
        return "[]"
    summarize = array.ndim > 0 and array.size > _options.threshold
    if summarize and _options.edgeitems == 0:
        return "[...]"
    shown = _shown_elements(array, summarize)
    formatter = _Formatter(shown.ravel().tolist(), is_float=shown.dtype.kind == "f")
    if array.ndim == 0:
        return formatter.text(shown.item())
    return _layout(shown.tolist(), array.shape, indent, summarize, formatter)


def tensor_repr(
    array: np.ndarray,
    dtype_name: str,
    *,
    default_dtype: str = "float32",
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    device: str = "cpu",
    parameter: bool = False,
    class_name: str = "tensor",
) -> str:
    """Return the printed form of a tensor whose elements are `array`.

    Args:
        array: the elements, any shape, on the host.
        dtype_name: the tensor's dtype ("float32"); named in the text unless the elements make it plain.
        default_dtype: the dtype of floats that is not named.
        requires_grad: adds `requires_grad=True`, unless there is a `grad_fn_name`.
        grad_fn_name: adds `grad_fn=<...>`.
        device: adds `device='...'` unless it is "cpu".
        parameter: precedes the text with the line `Parameter containing:`.
        class_name: what stands before the bracket; the class's name for a subclass of Tensor.
    """
    prefix = f"{class_name}("
    suffixes = []
    if device != "cpu":
        suffixes.append(f"device='{device}'")
    empty = array.size == 0
    if (empty and array.ndim != 1) or (not empty and _options.edgeitems == 0):
        suffixes.append(f"size={tuple(array.shape)}")
    # Without an element there is nothing to tell an integer or a bool from a float.
    plain_dtypes = (default_dtype,) if empty else (default_dtype, "int64", "bool")
    if dtype_name not in plain_dtypes:
        suffixes.append(f"dtype=gpugrad.{dtype_name}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    text = _add_suffixes(prefix + format_tensor(array, indent=len(prefix)), suffixes, len(prefix))
    return f"Parameter containing:\n{text}" if parameter else text


def _add_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """Append `suffixes` to `text`, each on its own line where it would pass the line's end, and close the bracket."""
    column = len(text) - text.rfind("\n") + 1  # two too many, as PyTorch counts
    for suffix in suffixes:
        length = len(suffix.replace("gpugrad.", "torch."))  # break lines where PyTorch, with its shorter name, does
        if column + length + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + length
        else:
            text += ", " + suffix
            column += length + 2
    return text + ")"
