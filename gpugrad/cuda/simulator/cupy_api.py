"""What NumPy has and CuPy 14.2 has not, of what can be called on a device array: the simulator refuses it too."""

from __future__ import annotations

from typing import Any

# Functions
LACKING = frozenset(
    [
        "block",
        "busday_count",
        "busday_offset",
        "datetime_as_string",
        "einsum_path",
        "geomspace",
        "histogram_bin_edges",
        "insert",
        "is_busday",
        "nanpercentile",
        "nanquantile",
        "polyder",
        "polydiv",
        "polyint",
        "unstack",
        "linalg.diagonal",
        "linalg.matrix_norm",
        "linalg.multi_dot",
        "linalg.outer",
        "linalg.svdvals",
        "linalg.tensordot",
        "linalg.trace",
        "linalg.vecdot",
        "linalg.vector_norm",
    ]
)

# Parameters of functions that are there
LACKING_PARAMETERS = {
    "all": "where",
    "amax": "initial where",
    "amin": "initial where",
    "any": "where",
    "argpartition": "kind order",
    "argsort": "order stable",
    "astype": "device",
    "broadcast_to": "subok",
    "clip": "min max",
    "copy": "subok",
    "count_nonzero": "keepdims",
    "empty_like": "device",
    "eye": "device",
    "full": "device",
    "full_like": "device",
    "isin": "kind",
    "lexsort": "axis",
    "linspace": "device",
    "max": "initial where",
    "mean": "where",
    "min": "initial where",
    "nanmax": "initial where",
    "nanmean": "where",
    "nanmin": "initial where",
    "nanprod": "initial where",
    "nanstd": "where mean correction",
    "nansum": "initial where",
    "nanvar": "where mean correction",
    "ones": "device",
    "ones_like": "device",
    "partition": "kind order",
    "percentile": "weights",
    "prod": "initial where",
    "quantile": "weights",
    "sort": "order stable",
    "std": "where mean correction",
    "sum": "initial where",
    "take": "mode",
    "trim_zeros": "axis",
    "unique": "sorted",
    "unpackbits": "count",
    "var": "where mean correction",
    "zeros_like": "device",
    "linalg.cholesky": "upper",
    "linalg.matrix_rank": "hermitian rtol",
    "linalg.pinv": "hermitian rtol",
    "linalg.svd": "hermitian",
    "fft.fft": "out",
    "fft.fft2": "out",
    "fft.fftn": "out",
    "fft.hfft": "out",
    "fft.ifft": "out",
    "fft.ifft2": "out",
    "fft.ifftn": "out",
    "fft.ihfft": "out",
    "fft.irfft": "out",
    "fft.irfft2": "out",
    "fft.irfftn": "out",
    "fft.rfft": "out",
    "fft.rfft2": "out",
    "fft.rfftn": "out",
}

# The ufuncs that have a method; `outer` all have
UFUNC_METHODS = {
    "reduce": ("add", "multiply"),
    "accumulate": ("add", "multiply"),
    "reduceat": ("add",),
    "at": ("add", "bitwise_and", "bitwise_or", "bitwise_xor", "maximum", "minimum", "subtract"),
}
LACKING_UFUNCS = ("isnat", "matvec", "spacing", "vecdot", "vecmat")

_REDUCTION = frozenset({"axis", "dtype", "out", "keepdims"})


def full_name(function: Any) -> str:
    """A NumPy function as it is called behind `numpy.`: `sum`, `linalg.norm`."""
    module = function.__module__.removeprefix("numpy").lstrip(".")
    return f"{module}.{function.__name__}" if module in ("linalg", "fft") else function.__name__


def refuse_parameters(name: str, given: Any) -> None:
    """TypeError, as CuPy raises it, for a keyword that CuPy's function has not."""
    lacking = LACKING_PARAMETERS.get(name, "").split()
    for parameter in given:
        if parameter in lacking:
            raise TypeError(f"{name}() got an unexpected keyword argument '{parameter}'")


def refuse_ufunc(name: str, method: str, given: Any) -> None:
    """NotImplementedError or TypeError for a ufunc, a method of it or a keyword that CuPy has not."""
    if name in LACKING_UFUNCS:
        raise TypeError(f"operand type(s) all returned NotImplemented from __array_ufunc__: CuPy has no {name}")
    if method in UFUNC_METHODS and name not in UFUNC_METHODS[method]:
        raise NotImplementedError(f"`cupy_{name}.{method}` is not supported yet")
    if method == "reduce" and not _REDUCTION.issuperset(given):
        raise TypeError(f"reduce() got an unexpected keyword argument '{next(iter(set(given) - _REDUCTION))}'")
