"""Schedulers and checkpoints: save everything, load it into new objects, and go on exactly as without the interruption."""

import io
import os
import tempfile

import torch
import torch.nn as nn

torch.manual_seed(7)
x, y = torch.randn(64, 5), torch.randn(64, 1)


def make():
    model = nn.Sequential(nn.Linear(5, 12), nn.LayerNorm(12), nn.SiLU(), nn.Dropout(0.1), nn.Linear(12, 1))
    decay = [p for n, p in model.named_parameters() if p.ndim > 1]
    rest = [p for n, p in model.named_parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0, "lr": 2e-3}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: min(1.0, (e + 1) / 3))
    return model, optimizer, warmup


def train(model, optimizer, scheduler, epochs):
    losses = []
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = nn.functional.huber_loss(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(round(loss.item(), 4))
    return losses


model, optimizer, scheduler = make()
print(train(model, optimizer, scheduler, 5), [g["lr"] for g in optimizer.param_groups])
path = os.path.join(tempfile.mkdtemp(), "checkpoint.tar")
torch.save(
    {
        "epoch": 5,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(),
    },
    path,
)
straight_on = train(model, optimizer, scheduler, 4)

other, optimizer2, scheduler2 = make()
checkpoint = torch.load(path, weights_only=True)
print(other.load_state_dict(checkpoint["model_state_dict"]))
optimizer2.load_state_dict(checkpoint["optimizer_state_dict"])
scheduler2.load_state_dict(checkpoint["scheduler"])
torch.set_rng_state(checkpoint["rng"])
resumed = train(other, optimizer2, scheduler2, 4)
print(resumed, resumed == straight_on, checkpoint["epoch"])
print(sorted(optimizer2.state_dict()["state"][0]), optimizer2.state_dict()["state"][0]["step"])
print(torch.equal(model[0].weight, other[0].weight))

buffer = io.BytesIO()
torch.save(model, buffer)
buffer.seek(0)
print(torch.load(buffer, weights_only=False).eval()(x[:2]).flatten())
try:
    nn.Linear(4, 12).load_state_dict({"weight": torch.zeros(12, 5), "extra": torch.zeros(1)})
except RuntimeError as error:
    print(error)

for name, scheduler in {
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=4, eta_min=0.001),
    "exponential": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "plateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5),
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=6),
    "sequential": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [
            torch.optim.lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=2),
            torch.optim.lr_scheduler.StepLR(o, 2, 0.5),
        ],
        milestones=[2],
    ),
}.items():
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = scheduler(optimizer)
    rates = []
    for _ in range(5):
        optimizer.step()
        scheduler.step(1.0) if name == "plateau" else scheduler.step()
        rates.append(round(optimizer.param_groups[0]["lr"], 6))
    print(f"{name}: {rates}")
