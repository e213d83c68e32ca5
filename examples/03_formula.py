"""An operation of one's own, from a formula: its gradient is derived, or given as a formula as well."""

from __future__ import annotations

import gpugrad
from gpugrad.autograd import gradcheck, gradgradcheck


# A body of arithmetic and elementwise functions is enough: its derivatives follow from it.
@gpugrad.elementwise
def swish(x, *, beta=1.0):
    return x * gpugrad.sigmoid(beta * x)


# Or give a rule for an input: `g` is the gradient of the output. This one says that rounding has slope 1, which no
# derivation would find, since it is 0 wherever it exists.
@gpugrad.elementwise
def quantize(x, *, steps=4.0):
    return gpugrad.round(x * steps) / steps


quantize.defvjp(x=lambda g, x, *, steps: g)

x = gpugrad.linspace(-2, 2, 5, dtype=gpugrad.float64).requires_grad_()
y = swish(x, beta=1.5)
y.backward(gpugrad.ones_like(y))
print("swish:         ", y)
print("its gradient:  ", x.grad)

# First and second derivatives agree with finite differences.
print("gradcheck:     ", gradcheck(swish, (x,)))
print("gradgradcheck: ", gradgradcheck(swish, (x,)))

x = gpugrad.tensor([0.1, 0.4, 0.9], requires_grad=True)
y = quantize(x)
y.backward(gpugrad.ones_like(y))
print("quantize:      ", y)
print("its gradient:  ", x.grad)
