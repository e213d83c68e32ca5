"""Training in half precision: bfloat16 where it is enough and float32 where it is not, or float16 with a scaled loss."""

from __future__ import annotations

import gpugrad as torch
from gpugrad import nn
from gpugrad.data import load_digits

device = "cuda" if torch.cuda.is_available() else "cpu"
train_x, train_y, test_x, test_y = (torch.from_numpy(a).to(device) for a in load_digits())
train_x, test_x = (images.reshape(-1, 64).float() / 16 for images in (train_x, test_x))
train_y, test_y = train_y.long(), test_y.long()


def train(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.LayerNorm(128), nn.Linear(128, 10)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)  # small gradients would vanish in float16
    for _ in range(5):
        for batch in torch.randperm(len(train_x)).to(device).split(64):
            optimizer.zero_grad()
            with torch.autocast(device, dtype=dtype):
                loss = nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            scaler.step(optimizer)  # left out if a gradient is infinite: the scale was too large
            scaler.update()
    with torch.no_grad(), torch.autocast(device, dtype=dtype):
        logits = model(test_x)
    accuracy = (logits.argmax(1) == test_y).float().mean().item()
    print(f"{dtype}: logits in {logits.dtype}, loss {loss.item():.3f} in {loss.dtype}, test accuracy {accuracy:.1%}")


for dtype in (torch.bfloat16, torch.float16):
    train(dtype)
