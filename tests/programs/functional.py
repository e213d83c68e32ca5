"""autograd.functional: jacobian, hessian, vjp, jvp, hvp; Newton's method; LBFGS; maximum likelihood with distributions."""

import torch
from torch.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp
from torch.distributions import Categorical, Normal

torch.manual_seed(8)


def rosenbrock(x):
    return torch.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


x = torch.tensor([0.8, 0.7, 0.5], dtype=torch.float64)
for i in range(9):
    g = jacobian(rosenbrock, x)
    H = hessian(rosenbrock, x)
    x = x - torch.linalg.solve(H, g)
    if i % 3 == 2:
        print(i, f"{rosenbrock(x).item():.6f}", x)


def f(a, b):
    return torch.stack([(a * b).sum(), (a.exp() @ b.sin()), a.norm() * b[0]])


a, b = torch.randn(3), torch.randn(3)
Ja, Jb = jacobian(f, (a, b))
print(Ja.shape, Jb)
out, (va, vb) = vjp(f, (a, b), torch.tensor([1.0, -1.0, 0.5]))
print(out, va, vb)
print(jvp(f, (a, b), (torch.ones(3), torch.zeros(3)))[1])
print(hvp(rosenbrock, x, torch.ones_like(x))[1], vhp(rosenbrock, x, torch.ones_like(x))[1])

p = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.LBFGS([p], lr=0.5, max_iter=8, line_search_fn="strong_wolfe")
data = Normal(torch.tensor(1.5), torch.tensor(0.7)).sample((200,))


def closure():
    optimizer.zero_grad()
    loss = -Normal(p[0], p[1].exp()).log_prob(data).mean()
    loss.backward()
    return loss


for _ in range(3):
    loss = optimizer.step(closure)
print(f"{loss.item():.3f} {p[0].item():.3f} {p[1].item():.3f}", data.mean(), data.std(unbiased=False).log())

policy = torch.nn.Linear(4, 3)
probs = torch.softmax(policy(torch.randn(5, 4)), dim=-1)
m = Categorical(probs)
action = m.sample()
loss = (-m.log_prob(action) * torch.arange(5.0)).sum() - 0.01 * m.entropy().sum()
loss.backward()
print(action, f"{loss.item():.4f}", policy.weight.grad.norm())
