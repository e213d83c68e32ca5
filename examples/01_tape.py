"""The tape by hand: what an operation records, how gradients run back along it, and gradients of gradients."""

from __future__ import annotations

import gpugrad
from gpugrad import autograd

# A tensor that requires a gradient is a leaf of the tape. Whatever is computed from it adds a node.
x = gpugrad.tensor([1.0, 2.0, 3.0], requires_grad=True)
squares = x * x
total = gpugrad.sum(squares)
print("recorded:", total)

# The nodes lead back to the leaf: the way that `backward` goes.
print("on the tape:", total.grad_fn, "<-", total.grad_fn.next_functions[0][0])

# A hook sees the gradient that arrives at a tensor, and may replace it. The walk frees what the nodes saved.
squares.register_hook(lambda g: print("arriving at the squares:", g))
halved = x.register_hook(lambda g: g / 2)
total.backward()
print("x.grad, halved by its hook:", x.grad)
halved.remove()

# Gradients add up until they are cleared.
x.grad = None
for _ in range(2):
    gpugrad.sum(x * x).backward()
print("x.grad after two walks:", x.grad)

# autograd.grad returns gradients instead of accumulating them; with create_graph they are on the tape in their turn.
cubes = gpugrad.sum(x * x * x)
(first,) = autograd.grad(cubes, x, create_graph=True)
(second,) = autograd.grad(gpugrad.sum(first), x)
print("first derivative of x**3: ", first)
print("second derivative of x**3:", second)

# Nothing is recorded inside no_grad, nor from a detached tensor.
with gpugrad.no_grad():
    print("in no_grad:", (x * x).requires_grad, "   detached:", (x.detach() * 2).requires_grad)

assert first.tolist() == [3.0, 12.0, 27.0] and second.tolist() == [6.0, 12.0, 18.0]
