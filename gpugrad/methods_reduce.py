"""Tensor methods: reductions, statistics, order, running sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ops
from .ops.numpy_names import numpy_names

if TYPE_CHECKING:
    from .core import Tensor


class ReduceMethods:
    """One line each, onto the function of that name."""

    __slots__ = ()

    # ----------------------------------------------------------------------------------- sums, means, products

    @numpy_names
    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.sum(self, dim, keepdim, dtype=dtype)

    @numpy_names
    def nansum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.nansum(self, dim, keepdim, dtype=dtype)

    @numpy_names
    def mean(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.mean(self, dim, keepdim, dtype=dtype)

    @numpy_names
    def nanmean(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.nanmean(self, dim, keepdim, dtype=dtype)

    @numpy_names
    def prod(self, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.prod(self, dim, keepdim, dtype=dtype)

    @numpy_names
    def logsumexp(self, dim: Any, keepdim: bool = False) -> Tensor:
        return ops.logsumexp(self, dim, keepdim)

    @numpy_names
    def all(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return ops.all(self, dim, keepdim)

    @numpy_names
    def any(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return ops.any(self, dim, keepdim)

    @numpy_names
    def count_nonzero(self, dim: Any = None) -> Tensor:
        return ops.count_nonzero(self, dim)

    def norm(self, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
        return ops.norm(self, p, dim, keepdim, dtype=dtype)

    # ----------------------------------------------------------------------------------------- largest, smallest

    @numpy_names
    def amax(self, dim: Any = (), keepdim: bool = False) -> Tensor:
        return ops.amax(self, dim, keepdim)

    @numpy_names
    def amin(self, dim: Any = (), keepdim: bool = False) -> Tensor:
        return ops.amin(self, dim, keepdim)

    @numpy_names
    def aminmax(self, *, dim: int | None = None, keepdim: bool = False) -> Any:
        return ops.aminmax(self, dim=dim, keepdim=keepdim)

    @numpy_names
    def max(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        return ops.max(self, dim, keepdim, other=other)

    @numpy_names
    def min(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        return ops.min(self, dim, keepdim, other=other)

    @numpy_names
    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return ops.argmax(self, dim, keepdim)

    @numpy_names
    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return ops.argmin(self, dim, keepdim)

    # ------------------------------------------------------------------------------------------------ statistics

    @numpy_names
    def var(
        self, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
    ) -> Tensor:
        return ops.var(self, dim, unbiased, keepdim, correction=correction)

    @numpy_names
    def std(
        self, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
    ) -> Tensor:
        return ops.std(self, dim, unbiased, keepdim, correction=correction)

    def cov(self, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
        return ops.cov(self, correction=correction, fweights=fweights, aweights=aweights)

    def corrcoef(self) -> Tensor:
        return ops.corrcoef(self)

    def bincount(self, weights: Any = None, minlength: int = 0) -> Tensor:
        return ops.bincount(self, weights, minlength)

    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
        return ops.histc(self, bins, min, max)

    def histogram(self, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False) -> Any:
        return ops.histogram(self, bins, range=range, weight=weight, density=density)

    @numpy_names
    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        return ops.median(self, dim, keepdim)

    @numpy_names
    def nanmedian(self, dim: int | None = None, keepdim: bool = False) -> Any:
        return ops.nanmedian(self, dim, keepdim)

    @numpy_names
    def mode(self, dim: int = -1, keepdim: bool = False) -> Any:
        return ops.mode(self, dim, keepdim)

    @numpy_names
    def quantile(
        self, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Tensor:
        return ops.quantile(self, q, dim, keepdim, interpolation=interpolation)

    @numpy_names
    def nanquantile(
        self, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Tensor:
        return ops.nanquantile(self, q, dim, keepdim, interpolation=interpolation)

    # ----------------------------------------------------------------------------------------------------- order

    @numpy_names
    def sort(self, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
        return ops.sort(self, dim, descending, stable)

    @numpy_names
    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
        return ops.argsort(self, dim, descending, stable)

    def msort(self) -> Tensor:
        return ops.msort(self)

    @numpy_names
    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
        return ops.topk(self, k, dim, largest, sorted)

    @numpy_names
    def kthvalue(self, k: int, dim: int = -1, keepdim: bool = False) -> Any:
        return ops.kthvalue(self, k, dim, keepdim)

    def unique(
        self, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
    ) -> Any:
        return ops.unique(self, sorted, return_inverse, return_counts, dim)

    def unique_consecutive(
        self, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
    ) -> Any:
        return ops.unique_consecutive(self, return_inverse, return_counts, dim)

    # ---------------------------------------------------------------------------------------------- step by step

    @numpy_names
    def cumsum(self, dim: int, dtype: Any = None) -> Tensor:
        return ops.cumsum(self, dim, dtype=dtype)

    @numpy_names
    def cumprod(self, dim: int, dtype: Any = None) -> Tensor:
        return ops.cumprod(self, dim, dtype=dtype)

    def cumsum_(self, dim: int, dtype: Any = None) -> Tensor:
        return _update(self, ops.cumsum, dim, dtype=dtype)

    def cumprod_(self, dim: int, dtype: Any = None) -> Tensor:
        return _update(self, ops.cumprod, dim, dtype=dtype)

    @numpy_names
    def cummax(self, dim: int) -> Any:
        return ops.cummax(self, dim)

    @numpy_names
    def cummin(self, dim: int) -> Any:
        return ops.cummin(self, dim)

    @numpy_names
    def logcumsumexp(self, dim: int) -> Tensor:
        return ops.logcumsumexp(self, dim)

    @numpy_names
    def diff(self, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
        return ops.diff(self, n, dim, prepend, append)


def _update(tensor: Any, function: Any, *args: Any, **params: Any) -> Tensor:
    from .inplace import update

    return update(tensor, function, *args, **params)
