"""The elementwise methods of Tensor that write in place: one line each, onto the op of that name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import ops

if TYPE_CHECKING:
    from .core import Tensor


def _update(tensor: Any, function: Callable[..., Any], *args: Any, **params: Any) -> Tensor:
    from .inplace import update  # at call time: it needs Tensor, which is made of these methods

    return update(tensor, function, *args, **params)


class ElementwiseInPlaceMethods:
    """Each puts the result in the place of the tensor and returns the tensor."""

    __slots__ = ()

    def abs_(self) -> Tensor:
        return _update(self, ops.abs)

    def absolute_(self) -> Tensor:
        return _update(self, ops.absolute)

    def neg_(self) -> Tensor:
        return _update(self, ops.neg)

    def negative_(self) -> Tensor:
        return _update(self, ops.negative)

    def sign_(self) -> Tensor:
        return _update(self, ops.sign)

    def sgn_(self) -> Tensor:
        return _update(self, ops.sgn)

    def square_(self) -> Tensor:
        return _update(self, ops.square)

    def reciprocal_(self) -> Tensor:
        return _update(self, ops.reciprocal)

    def exp_(self) -> Tensor:
        return _update(self, ops.exp)

    def exp2_(self) -> Tensor:
        return _update(self, ops.exp2)

    def expm1_(self) -> Tensor:
        return _update(self, ops.expm1)

    def log_(self) -> Tensor:
        return _update(self, ops.log)

    def log2_(self) -> Tensor:
        return _update(self, ops.log2)

    def log10_(self) -> Tensor:
        return _update(self, ops.log10)

    def log1p_(self) -> Tensor:
        return _update(self, ops.log1p)

    def sqrt_(self) -> Tensor:
        return _update(self, ops.sqrt)

    def rsqrt_(self) -> Tensor:
        return _update(self, ops.rsqrt)

    def sin_(self) -> Tensor:
        return _update(self, ops.sin)

    def cos_(self) -> Tensor:
        return _update(self, ops.cos)

    def tan_(self) -> Tensor:
        return _update(self, ops.tan)

    def asin_(self) -> Tensor:
        return _update(self, ops.asin)

    def acos_(self) -> Tensor:
        return _update(self, ops.acos)

    def atan_(self) -> Tensor:
        return _update(self, ops.atan)

    def sinh_(self) -> Tensor:
        return _update(self, ops.sinh)

    def cosh_(self) -> Tensor:
        return _update(self, ops.cosh)

    def tanh_(self) -> Tensor:
        return _update(self, ops.tanh)

    def asinh_(self) -> Tensor:
        return _update(self, ops.asinh)

    def acosh_(self) -> Tensor:
        return _update(self, ops.acosh)

    def atanh_(self) -> Tensor:
        return _update(self, ops.atanh)

    def arcsin_(self) -> Tensor:
        return _update(self, ops.arcsin)

    def arccos_(self) -> Tensor:
        return _update(self, ops.arccos)

    def arctan_(self) -> Tensor:
        return _update(self, ops.arctan)

    def arcsinh_(self) -> Tensor:
        return _update(self, ops.arcsinh)

    def arccosh_(self) -> Tensor:
        return _update(self, ops.arccosh)

    def arctanh_(self) -> Tensor:
        return _update(self, ops.arctanh)

    def deg2rad_(self) -> Tensor:
        return _update(self, ops.deg2rad)

    def rad2deg_(self) -> Tensor:
        return _update(self, ops.rad2deg)

    def sigmoid_(self) -> Tensor:
        return _update(self, ops.sigmoid)

    def floor_(self) -> Tensor:
        return _update(self, ops.floor)

    def ceil_(self) -> Tensor:
        return _update(self, ops.ceil)

    def trunc_(self) -> Tensor:
        return _update(self, ops.trunc)

    def fix_(self) -> Tensor:
        return _update(self, ops.fix)

    def frac_(self) -> Tensor:
        return _update(self, ops.frac)

    def erf_(self) -> Tensor:
        return _update(self, ops.erf)

    def erfc_(self) -> Tensor:
        return _update(self, ops.erfc)

    def erfinv_(self) -> Tensor:
        return _update(self, ops.erfinv)

    def lgamma_(self) -> Tensor:
        return _update(self, ops.lgamma)

    def digamma_(self) -> Tensor:
        return _update(self, ops.digamma)

    def i0_(self) -> Tensor:
        return _update(self, ops.i0)

    def sinc_(self) -> Tensor:
        return _update(self, ops.sinc)

    def relu_(self) -> Tensor:
        return _update(self, ops.relu)

    def logical_not_(self) -> Tensor:
        return _update(self, ops.logical_not)

    def bitwise_not_(self) -> Tensor:
        return _update(self, ops.bitwise_not)

    def mul_(self, other: Any) -> Tensor:
        return _update(self, ops.mul, other)

    def multiply_(self, other: Any) -> Tensor:
        return _update(self, ops.multiply, other)

    def true_divide_(self, other: Any) -> Tensor:
        return _update(self, ops.true_divide, other)

    def floor_divide_(self, other: Any) -> Tensor:
        return _update(self, ops.floor_divide, other)

    def fmod_(self, other: Any) -> Tensor:
        return _update(self, ops.fmod, other)

    def remainder_(self, other: Any) -> Tensor:
        return _update(self, ops.remainder, other)

    def atan2_(self, other: Any) -> Tensor:
        return _update(self, ops.atan2, other)

    def arctan2_(self, other: Any) -> Tensor:
        return _update(self, ops.arctan2, other)

    def hypot_(self, other: Any) -> Tensor:
        return _update(self, ops.hypot, other)

    def copysign_(self, other: Any) -> Tensor:
        return _update(self, ops.copysign, other)

    def nextafter_(self, other: Any) -> Tensor:
        return _update(self, ops.nextafter, other)

    def gcd_(self, other: Any) -> Tensor:
        return _update(self, ops.gcd, other)

    def lcm_(self, other: Any) -> Tensor:
        return _update(self, ops.lcm, other)

    def ldexp_(self, other: Any) -> Tensor:
        return _update(self, ops.ldexp, other)

    def eq_(self, other: Any) -> Tensor:
        return _update(self, ops.eq, other)

    def ne_(self, other: Any) -> Tensor:
        return _update(self, ops.ne, other)

    def not_equal_(self, other: Any) -> Tensor:
        return _update(self, ops.not_equal, other)

    def lt_(self, other: Any) -> Tensor:
        return _update(self, ops.lt, other)

    def less_(self, other: Any) -> Tensor:
        return _update(self, ops.less, other)

    def le_(self, other: Any) -> Tensor:
        return _update(self, ops.le, other)

    def less_equal_(self, other: Any) -> Tensor:
        return _update(self, ops.less_equal, other)

    def gt_(self, other: Any) -> Tensor:
        return _update(self, ops.gt, other)

    def greater_(self, other: Any) -> Tensor:
        return _update(self, ops.greater, other)

    def ge_(self, other: Any) -> Tensor:
        return _update(self, ops.ge, other)

    def greater_equal_(self, other: Any) -> Tensor:
        return _update(self, ops.greater_equal, other)

    def logical_and_(self, other: Any) -> Tensor:
        return _update(self, ops.logical_and, other)

    def logical_or_(self, other: Any) -> Tensor:
        return _update(self, ops.logical_or, other)

    def logical_xor_(self, other: Any) -> Tensor:
        return _update(self, ops.logical_xor, other)

    def bitwise_and_(self, other: Any) -> Tensor:
        return _update(self, ops.bitwise_and, other)

    def bitwise_or_(self, other: Any) -> Tensor:
        return _update(self, ops.bitwise_or, other)

    def bitwise_xor_(self, other: Any) -> Tensor:
        return _update(self, ops.bitwise_xor, other)

    def bitwise_left_shift_(self, other: Any) -> Tensor:
        return _update(self, ops.bitwise_left_shift, other)

    def bitwise_right_shift_(self, other: Any) -> Tensor:
        return _update(self, ops.bitwise_right_shift, other)

    def xlogy_(self, other: Any) -> Tensor:
        return _update(self, ops.xlogy, other)

    def add_(self, other: Any, *, alpha: float = 1) -> Tensor:
        return _update(self, ops.add, other, alpha=alpha)

    def sub_(self, other: Any, *, alpha: float = 1) -> Tensor:
        return _update(self, ops.sub, other, alpha=alpha)

    def subtract_(self, other: Any, *, alpha: float = 1) -> Tensor:
        return _update(self, ops.subtract, other, alpha=alpha)

    def div_(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        return _update(self, ops.div, other, rounding_mode=rounding_mode)

    def divide_(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        return _update(self, ops.divide, other, rounding_mode=rounding_mode)

    def pow_(self, exponent: Any) -> Tensor:
        return _update(self, ops.pow, exponent)

    def float_power_(self, exponent: Any) -> Tensor:
        return _update(self, ops.float_power, exponent)

    def lerp_(self, end: Any, weight: Any) -> Tensor:
        return _update(self, ops.lerp, end, weight)

    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
        return _update(self, ops.addcmul, tensor1, tensor2, value=value)

    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
        return _update(self, ops.addcdiv, tensor1, tensor2, value=value)

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        return _update(self, ops.clamp, min, max)

    def clip_(self, min: Any = None, max: Any = None) -> Tensor:
        return _update(self, ops.clip, min, max)

    def clamp_min_(self, min: Any) -> Tensor:
        return _update(self, ops.clamp_min, min)

    def clamp_max_(self, max: Any) -> Tensor:
        return _update(self, ops.clamp_max, max)

    def heaviside_(self, values: Any) -> Tensor:
        return _update(self, ops.heaviside, values)

    def round_(self, *, decimals: int = 0) -> Tensor:
        return _update(self, ops.round, decimals=decimals)

    def nan_to_num_(self, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
        return _update(self, ops.nan_to_num, nan, posinf, neginf)

    def logit_(self, eps: float | None = None) -> Tensor:
        return _update(self, ops.logit, eps)

    def mvlgamma_(self, p: int) -> Tensor:
        return _update(self, ops.mvlgamma, p)

    def polygamma_(self, n: int) -> Tensor:
        return _update(self, lambda x: ops.polygamma(n, x))
