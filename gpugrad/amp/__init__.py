"""`gpugrad.amp`: training in mixed precision, as `torch.amp`.

    scaler = gpugrad.amp.GradScaler("cuda")
    with gpugrad.autocast("cuda"):
        loss = loss_fn(model(x), target)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()

bfloat16 has the range of float32 and needs no scaler.
"""

from . import autocast_mode as autocast_mode
from . import grad_scaler as grad_scaler
from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
