"""The elementwise methods of Tensor: one line each, onto the op of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ops
from .methods_elementwise_inplace import ElementwiseInPlaceMethods

if TYPE_CHECKING:
    from .core import Tensor


class ElementwiseMethods(ElementwiseInPlaceMethods):
    """What every element goes through on its own; the functions in `gpugrad.ops` say more."""

    __slots__ = ()

    def abs(self) -> Tensor:
        return ops.abs(self)

    def absolute(self) -> Tensor:
        return ops.absolute(self)

    def neg(self) -> Tensor:
        return ops.neg(self)

    def negative(self) -> Tensor:
        return ops.negative(self)

    def sign(self) -> Tensor:
        return ops.sign(self)

    def sgn(self) -> Tensor:
        return ops.sgn(self)

    def square(self) -> Tensor:
        return ops.square(self)

    def reciprocal(self) -> Tensor:
        return ops.reciprocal(self)

    def exp(self) -> Tensor:
        return ops.exp(self)

    def exp2(self) -> Tensor:
        return ops.exp2(self)

    def expm1(self) -> Tensor:
        return ops.expm1(self)

    def log(self) -> Tensor:
        return ops.log(self)

    def log2(self) -> Tensor:
        return ops.log2(self)

    def log10(self) -> Tensor:
        return ops.log10(self)

    def log1p(self) -> Tensor:
        return ops.log1p(self)

    def sqrt(self) -> Tensor:
        return ops.sqrt(self)

    def rsqrt(self) -> Tensor:
        return ops.rsqrt(self)

    def sin(self) -> Tensor:
        return ops.sin(self)

    def cos(self) -> Tensor:
        return ops.cos(self)

    def tan(self) -> Tensor:
        return ops.tan(self)

    def asin(self) -> Tensor:
        return ops.asin(self)

    def acos(self) -> Tensor:
        return ops.acos(self)

    def atan(self) -> Tensor:
        return ops.atan(self)

    def sinh(self) -> Tensor:
        return ops.sinh(self)

    def cosh(self) -> Tensor:
        return ops.cosh(self)

    def tanh(self) -> Tensor:
        return ops.tanh(self)

    def asinh(self) -> Tensor:
        return ops.asinh(self)

    def acosh(self) -> Tensor:
        return ops.acosh(self)

    def atanh(self) -> Tensor:
        return ops.atanh(self)

    def arcsin(self) -> Tensor:
        return ops.arcsin(self)

    def arccos(self) -> Tensor:
        return ops.arccos(self)

    def arctan(self) -> Tensor:
        return ops.arctan(self)

    def arcsinh(self) -> Tensor:
        return ops.arcsinh(self)

    def arccosh(self) -> Tensor:
        return ops.arccosh(self)

    def arctanh(self) -> Tensor:
        return ops.arctanh(self)

    def deg2rad(self) -> Tensor:
        return ops.deg2rad(self)

    def rad2deg(self) -> Tensor:
        return ops.rad2deg(self)

    def sigmoid(self) -> Tensor:
        return ops.sigmoid(self)

    def floor(self) -> Tensor:
        return ops.floor(self)

    def ceil(self) -> Tensor:
        return ops.ceil(self)

    def trunc(self) -> Tensor:
        return ops.trunc(self)

    def fix(self) -> Tensor:
        return ops.fix(self)

    def frac(self) -> Tensor:
        return ops.frac(self)

    def erf(self) -> Tensor:
        return ops.erf(self)

    def erfc(self) -> Tensor:
        return ops.erfc(self)

    def erfinv(self) -> Tensor:
        return ops.erfinv(self)

    def lgamma(self) -> Tensor:
        return ops.lgamma(self)

    def digamma(self) -> Tensor:
        return ops.digamma(self)

    def i0(self) -> Tensor:
        return ops.i0(self)

    def sinc(self) -> Tensor:
        return ops.sinc(self)

    def relu(self) -> Tensor:
        return ops.relu(self)

    def isnan(self) -> Tensor:
        return ops.isnan(self)

    def isinf(self) -> Tensor:
        return ops.isinf(self)

    def isfinite(self) -> Tensor:
        return ops.isfinite(self)

    def isposinf(self) -> Tensor:
        return ops.isposinf(self)

    def isneginf(self) -> Tensor:
        return ops.isneginf(self)

    def signbit(self) -> Tensor:
        return ops.signbit(self)

    def positive(self) -> Tensor:
        return ops.positive(self)

    def logical_not(self) -> Tensor:
        return ops.logical_not(self)

    def bitwise_not(self) -> Tensor:
        return ops.bitwise_not(self)

    def mul(self, other: Any) -> Tensor:
        return ops.mul(self, other)

    def multiply(self, other: Any) -> Tensor:
        return ops.multiply(self, other)

    def true_divide(self, other: Any) -> Tensor:
        return ops.true_divide(self, other)

    def floor_divide(self, other: Any) -> Tensor:
        return ops.floor_divide(self, other)

    def fmod(self, other: Any) -> Tensor:
        return ops.fmod(self, other)

    def remainder(self, other: Any) -> Tensor:
        return ops.remainder(self, other)

    def atan2(self, other: Any) -> Tensor:
        return ops.atan2(self, other)

    def arctan2(self, other: Any) -> Tensor:
        return ops.arctan2(self, other)

    def hypot(self, other: Any) -> Tensor:
        return ops.hypot(self, other)

    def logaddexp(self, other: Any) -> Tensor:
        return ops.logaddexp(self, other)

    def logaddexp2(self, other: Any) -> Tensor:
        return ops.logaddexp2(self, other)

    def copysign(self, other: Any) -> Tensor:
        return ops.copysign(self, other)

    def nextafter(self, other: Any) -> Tensor:
        return ops.nextafter(self, other)

    def gcd(self, other: Any) -> Tensor:
        return ops.gcd(self, other)

    def lcm(self, other: Any) -> Tensor:
        return ops.lcm(self, other)

    def ldexp(self, other: Any) -> Tensor:
        return ops.ldexp(self, other)

    def maximum(self, other: Any) -> Tensor:
        return ops.maximum(self, other)

    def minimum(self, other: Any) -> Tensor:
        return ops.minimum(self, other)

    def fmax(self, other: Any) -> Tensor:
        return ops.fmax(self, other)

    def fmin(self, other: Any) -> Tensor:
        return ops.fmin(self, other)

    def eq(self, other: Any) -> Tensor:
        return ops.eq(self, other)

    def ne(self, other: Any) -> Tensor:
        return ops.ne(self, other)

    def not_equal(self, other: Any) -> Tensor:
        return ops.not_equal(self, other)

    def lt(self, other: Any) -> Tensor:
        return ops.lt(self, other)

    def less(self, other: Any) -> Tensor:
        return ops.less(self, other)

    def le(self, other: Any) -> Tensor:
        return ops.le(self, other)

    def less_equal(self, other: Any) -> Tensor:
        return ops.less_equal(self, other)

    def gt(self, other: Any) -> Tensor:
        return ops.gt(self, other)

    def greater(self, other: Any) -> Tensor:
        return ops.greater(self, other)

    def ge(self, other: Any) -> Tensor:
        return ops.ge(self, other)

    def greater_equal(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other)

    def logical_and(self, other: Any) -> Tensor:
        return ops.logical_and(self, other)

    def logical_or(self, other: Any) -> Tensor:
        return ops.logical_or(self, other)

    def logical_xor(self, other: Any) -> Tensor:
        return ops.logical_xor(self, other)

    def bitwise_and(self, other: Any) -> Tensor:
        return ops.bitwise_and(self, other)

    def bitwise_or(self, other: Any) -> Tensor:
        return ops.bitwise_or(self, other)

    def bitwise_xor(self, other: Any) -> Tensor:
        return ops.bitwise_xor(self, other)

    def bitwise_left_shift(self, other: Any) -> Tensor:
        return ops.bitwise_left_shift(self, other)

    def bitwise_right_shift(self, other: Any) -> Tensor:
        return ops.bitwise_right_shift(self, other)

    def xlogy(self, other: Any) -> Tensor:
        return ops.xlogy(self, other)

    def add(self, other: Any, *, alpha: float = 1) -> Tensor:
        return ops.add(self, other, alpha=alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Tensor:
        return ops.sub(self, other, alpha=alpha)

    def subtract(self, other: Any, *, alpha: float = 1) -> Tensor:
        return ops.subtract(self, other, alpha=alpha)

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        return ops.div(self, other, rounding_mode=rounding_mode)

    def divide(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        return ops.divide(self, other, rounding_mode=rounding_mode)

    def pow(self, exponent: Any) -> Tensor:
        return ops.pow(self, exponent)

    def float_power(self, exponent: Any) -> Tensor:
        return ops.float_power(self, exponent)

    def lerp(self, end: Any, weight: Any) -> Tensor:
        return ops.lerp(self, end, weight)

    def addcmul(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
        return ops.addcmul(self, tensor1, tensor2, value=value)

    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
        return ops.addcdiv(self, tensor1, tensor2, value=value)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        return ops.clamp(self, min, max)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return ops.clip(self, min, max)

    def clamp_min(self, min: Any) -> Tensor:
        return ops.clamp_min(self, min)

    def clamp_max(self, max: Any) -> Tensor:
        return ops.clamp_max(self, max)

    def heaviside(self, values: Any) -> Tensor:
        return ops.heaviside(self, values)

    def round(self, *, decimals: int = 0) -> Tensor:
        return ops.round(self, decimals=decimals)

    def nan_to_num(self, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
        return ops.nan_to_num(self, nan, posinf, neginf)

    def logit(self, eps: float | None = None) -> Tensor:
        return ops.logit(self, eps)

    def mvlgamma(self, p: int) -> Tensor:
        return ops.mvlgamma(self, p)

    def hardshrink(self, lambd: float = 0.5) -> Tensor:
        return ops.hardshrink(self, lambd=lambd)

    def prelu(self, weight: Any) -> Tensor:
        return ops.prelu(self, weight)

    def dist(self, other: Any, p: float = 2) -> Tensor:
        return ops.dist(self, other, p)

    def polygamma(self, n: int) -> Tensor:
        return ops.polygamma(n, self)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        return ops.where(condition, self, other)

    def isclose(self, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
        return ops.isclose(self, other, rtol, atol, equal_nan)

    def allclose(self, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
        return ops.allclose(self, other, rtol, atol, equal_nan)

    def equal(self, other: Any) -> bool:
        return ops.equal(self, other)
