"""Mixed precision as in PyTorch's recipes: autocast, a scaled loss, clipping, accumulation, a gradient penalty, a Function."""

import torch
from torch import nn
from torch.amp import GradScaler, autocast, custom_bwd, custom_fwd

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 3))

    def forward(self, x):
        x = self.features(x).flatten(2).transpose(1, 2)
        attended, _ = self.attention(x, x, x, need_weights=False)
        x = self.norm(x + attended)
        with torch.autocast(device_type=device, enabled=False):
            x = x.float().mean(1)
        return self.head(x)


model = Net().to(device)
images = torch.randn(24, 1, 8, 8, device=device)
labels = (images.mean((1, 2, 3)) * 8).round().clamp(-1, 1).long() + 1
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
scaler = GradScaler(device, init_scale=1024.0, growth_interval=4)
accumulate = 2

for epoch in range(20):
    for i, (x, y) in enumerate(zip(images.chunk(4), labels.chunk(4))):
        with autocast(device_type=device, dtype=torch.bfloat16):
            output = model(x)
            loss = nn.functional.cross_entropy(output, y) / accumulate
        scaler.scale(loss).backward()
        if (i + 1) % accumulate == 0:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
    if epoch in (0, 19):
        print(f"epoch {epoch} output {output.dtype} loss {loss.dtype} scale {scaler.get_scale()}")
print("trained", loss.item() < 0.2, {p.dtype for p in model.parameters()})

# a gradient penalty: the gradients are unscaled by hand
with autocast(device_type=device, dtype=torch.bfloat16):
    loss = nn.functional.mse_loss(model(images), torch.zeros(24, 3, device=device))
scaled = torch.autograd.grad(scaler.scale(loss), model.head.parameters(), create_graph=True)
grads = [g * (1.0 / scaler.get_scale()) for g in scaled]
with autocast(device_type=device, dtype=torch.bfloat16):
    norm = torch.stack([g.pow(2).sum() for g in grads]).sum().sqrt()
    loss = loss + norm
scaler.scale(loss).backward()
scaler.step(optimizer)
scaler.update()
print("penalty", norm.dtype, loss.dtype, bool(torch.isfinite(loss)))


class Scaled(torch.autograd.Function):
    @staticmethod
    @custom_fwd(device_type=device, cast_inputs=torch.float32)
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        print("forward", x.dtype, torch.is_autocast_enabled(device))
        return x @ w

    @staticmethod
    @custom_bwd(device_type=device)
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        print("backward", g.dtype, torch.is_autocast_enabled(device))
        return g @ w.t(), x.t() @ g


x, w = torch.ones(2, 3, device=device), torch.full((3, 1), 0.5, device=device, requires_grad=True)
with autocast(device_type=device):
    y = Scaled.apply(x.to(torch.get_autocast_dtype(device)), w)
y.sum().backward()
print(y, w.grad)

# what overflowed is skipped
optimizer.zero_grad()
before = [p.detach().clone() for p in model.parameters()]
scaler.scale(model(images).sum() * float("inf")).backward()
scaler.step(optimizer)
scaler.update()
print("skipped", all(torch.equal(a, b) for a, b in zip(before, model.parameters())), scaler.state_dict())
