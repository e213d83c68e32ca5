"""Custom autograd.Functions: a polynomial, a straight-through estimator, gradient reversal; gradcheck; a wrong one caught."""

import math

import torch


class LegendrePolynomial3(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, steps):
        ctx.set_materialize_grads(False)
        return (x * steps).round() / steps

    @staticmethod
    def backward(ctx, g):
        return g, None


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lambd):
        ctx.lambd = lambd
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        assert ctx.needs_input_grad == (True, False)
        return g.neg() * ctx.lambd, None


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


x = torch.linspace(-math.pi, math.pi, 200)
y = torch.sin(x)
a = torch.full((), 0.0, requires_grad=True)
b = torch.full((), -1.0, requires_grad=True)
c = torch.full((), 0.0, requires_grad=True)
d = torch.full((), 0.3, requires_grad=True)
learning_rate = 5e-5
for t in range(200):
    P3 = LegendrePolynomial3.apply
    y_pred = a + b * P3(c + d * x)
    loss = (y_pred - y).pow(2).sum()
    if t % 50 == 49:
        print(t, f"{loss.item():.4f}")
    loss.backward()
    with torch.no_grad():
        a -= learning_rate * a.grad
        b -= learning_rate * b.grad
        c -= learning_rate * c.grad
        d -= learning_rate * d.grad
        a.grad = None
        b.grad = None
        c.grad = None
        d.grad = None
print(f"Result: y = {abs(a.item()):.3f} + {b.item():.4f} * P3({abs(c.item()):.3f} + {d.item():.4f} x)")

w = torch.tensor([0.24, -0.66, 1.1], requires_grad=True)
q = Round.apply(w, 4)
(q * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
print(q, w.grad)
v = torch.ones(2, requires_grad=True)
Reverse.apply(v * 2, 0.5).sum().backward()
print(v.grad, Reverse.apply(v, 1.0))
z = torch.randn(4, dtype=torch.double, requires_grad=True)
print(torch.autograd.gradcheck(LegendrePolynomial3.apply, (z,)), torch.autograd.gradgradcheck(P3, (z,)))
print(torch.autograd.gradcheck(Wrong.apply, (z,), raise_exception=False))
