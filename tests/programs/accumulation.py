"""Gradient accumulation and clipping, parameter groups, freezing, an average of weights, a weight-tied autoencoder, hooks."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(10)


class TiedAutoencoder(nn.Module):
    def __init__(self, d=10, h=4):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(h, d))
        self.b1, self.b2 = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.zeros(d))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        nn.init.xavier_uniform_(self.weight, gain=nn.init.calculate_gain("tanh"))

    def forward(self, x):
        self.steps += 1
        return F.linear(torch.tanh(F.linear(x, self.weight, self.b1)), self.weight.t(), self.b2)

    def extra_repr(self):
        return f"steps={self.steps.item()}"


data = torch.randn(128, 10) @ torch.randn(10, 10)
model = TiedAutoencoder()
ema = copy.deepcopy(model)
optimizer = torch.optim.Adam([{"params": [model.weight]}, {"params": [model.b1, model.b2], "lr": 0.05}], lr=0.01)
accumulation_steps = 4
norms = []
model.weight.register_hook(lambda grad: norms.append(grad.norm().item()))
optimizer.zero_grad()
for i, batch in enumerate(data.split(8)):
    loss = F.mse_loss(model(batch), batch) / accumulation_steps
    loss.backward()
    if (i + 1) % accumulation_steps == 0:
        total_norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for e, p in zip(ema.parameters(), model.parameters()):
                e.mul_(0.9).add_(p, alpha=0.1)
        print(f"step {(i + 1) // accumulation_steps} loss {loss.item():.4f} norm {total_norm.item():.4f}")
print(len(norms), f"{sum(norms):.3f}", model)
print(ema.weight[0, :4], model.weight.grad)

model.b1.requires_grad = False
loss = F.mse_loss(model(data), data)
loss.backward()
nn.utils.clip_grad_value_(model.parameters(), 0.01)
print(model.b1.grad, model.b2.grad.abs().max(), [n for n, p in model.named_parameters() if p.requires_grad])
flat = torch.cat([p.detach().flatten() for p in model.parameters()])
print(flat.shape, flat.norm(), nn.utils.parameters_to_vector(model.parameters()).shape)
head = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))})
print(head)
print([name for name, _ in head.named_modules()], sum(p.numel() for p in head["b"].parameters()))
