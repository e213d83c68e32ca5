"""A classifier of handwritten digits from scratch: tensors and their gradients, no layers, no optimizer."""

from __future__ import annotations

import gpugrad as torch
from gpugrad.data import load_digits

train_x, train_y, test_x, test_y = map(torch.from_numpy, load_digits())
train_x, test_x = (images.reshape(-1, 64) / 16 for images in (train_x, test_x))
train_y, test_y = train_y.long(), test_y.long()

torch.manual_seed(0)
w1 = (torch.randn(64, 64) * 0.15).requires_grad_()
b1 = torch.zeros(64, requires_grad=True)
w2 = (torch.randn(64, 10) * 0.15).requires_grad_()
b2 = torch.zeros(10, requires_grad=True)


def logits(x):
    return torch.relu(x @ w1 + b1) @ w2 + b2


def cross_entropy(scores, labels):
    chosen = scores.gather(1, labels[:, None])[:, 0]
    return (scores.logsumexp(1) - chosen).mean()


for epoch in range(1, 21):
    for batch in torch.randperm(len(train_x)).split(32):
        loss = cross_entropy(logits(train_x[batch]), train_y[batch])
        loss.backward()
        with torch.no_grad():
            for parameter in (w1, b1, w2, b2):
                parameter -= 0.2 * parameter.grad
                parameter.grad = None
    if epoch % 5 == 0:
        with torch.no_grad():
            accuracy = (logits(test_x).argmax(1) == test_y).float().mean()
        print(f"epoch {epoch:2}: loss {loss.item():.4f}, test accuracy {accuracy.item():.2%}")
