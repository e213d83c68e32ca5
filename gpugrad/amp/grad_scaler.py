"""`GradScaler`: gradients of a loss times a factor, so that small ones do not vanish in float16, and the factor's size."""

from __future__ import annotations

import inspect
import warnings
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum
from typing import Any

from .. import cuda, ops
from ..core import Tensor, mark_written
from ..device import Device, same_device
from ..dtypes import float16, float32, int32
from ..modes import no_grad
from ..ops.gradient_scale import unscale, update_scale

__all__ = ["GradScaler", "OptState"]

_NOT_SCALED = "This may indicate your script did not use scaler.scale(loss or outputs) earlier in the iteration."


class OptState(Enum):
    """What has been done to an optimizer's gradients since the last `update`."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh_optimizer_state() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Scales losses, unscales gradients, and skips the steps of which a gradient is infinite or NaN.

        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    The scale is `init_scale` at first; `update` multiplies it by `backoff_factor` after a skipped step, and by
    `growth_factor` after `growth_interval` steps in a row that were not. It lies on the device of the first loss. There an
    optimizer of gpugrad skips a step by itself: nothing waits for the device, and all of the step can be captured in a
    CUDA graph. Of other optimizers, and of losses on the CPU, `step` reads back whether a gradient was bad.

    With `enabled=False` `step` steps and the other methods do nothing; that is also so, with a warning, of "cuda" where
    there is no CUDA device. AssertionError for a `growth_factor` of at most 1 or a `backoff_factor` of at least 1.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if device == "cuda" and enabled and not cuda.is_available():
            warnings.warn("GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Tensor | None = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Tensor | None = None
        self._forget_optimizers()

    def _forget_optimizers(self) -> None:
        self._per_optimizer_states: defaultdict[int, dict[str, Any]] = defaultdict(_fresh_optimizer_state)

    def _scale_and_tracker(self, asked: str) -> tuple[Tensor, Tensor]:
        """Both, on the device. AssertionError, naming who asked, if nothing has been scaled yet."""
        for name, value in (("_scale", self._scale), ("_growth_tracker", self._growth_tracker)):
            if value is None:
                raise AssertionError(f"Attempted {asked} but {name} is None.  {_NOT_SCALED}")
        return self._scale, self._growth_tracker  # type: ignore[return-value]

    # ------------------------------------------------------------------------------------------------- scaling

    def scale(self, outputs: Any) -> Any:
        """A tensor, or those in an iterable (of iterables), times the scale. ValueError for anything else."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale_on(outputs.device)
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _scale_on(self, device: Device) -> Tensor:
        if self._scale is None:
            self._scale = ops.full((), self._init_scale, dtype=float32, device=device)
            self._growth_tracker = ops.full((), self._init_growth_tracker, dtype=int32, device=device)
        return self._scale.to(device)

    # ----------------------------------------------------------------------------------------------- unscaling

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer by the scale, so that they can be clipped or looked at before `step`.

        Nothing waits for the device. RuntimeError if they already are, or after `step`; ValueError for gradients in
        float16, which has not the range; AssertionError if nothing was scaled.
        """
        if not self._enabled:
            return
        scale, _ = self._scale_and_tracker("unscale_")
        optimizer_state = self._per_optimizer_states[id(optimizer)]
        if optimizer_state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if optimizer_state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        optimizer_state["found_inf_per_device"] = self._unscale_grads(optimizer, scale, allow_fp16=False)
        optimizer_state["stage"] = OptState.UNSCALED

    def _unscale_grads(self, optimizer: Any, scale: Tensor, allow_fp16: bool) -> dict[Device, Tensor]:
        """Divide all gradients by `scale`; by device, 0-d, whether one was infinite or NaN."""
        by_device: defaultdict[Device, list[Tensor]] = defaultdict(list)
        for group in optimizer.param_groups:
            for param in group["params"]:
                if not isinstance(param, Tensor):
                    raise AssertionError(f"expected param to be gpugrad.Tensor, got {type(param).__name__}")
                if param.grad is None:
                    continue
                if not allow_fp16 and param.grad.dtype is float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                by_device[param.grad.device].append(param.grad)
        found = {}
        with no_grad():
            for device, grads in by_device.items():
                found[device] = ops.zeros((), dtype=float32, device=device)
                unscale(*[g._array for g in grads], scale.to(device)._array, found[device]._array)
                mark_written(*grads)
        return found

    # ------------------------------------------------------------------------------------------------ stepping

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`unscale_`, unless that has been done, and `optimizer.step(*args, **kwargs)` if all gradients are finite.

        Gives what that gives, or None if it is skipped. RuntimeError for a second step before `update`, or for a
        `closure`; AssertionError if nothing was scaled, or no parameter has a gradient.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._scale_and_tracker("step")
        optimizer_state = self._per_optimizer_states[id(optimizer)]
        if optimizer_state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            result = self._step_of_its_own(optimizer, optimizer_state, args, kwargs)
        else:
            if optimizer_state["stage"] is OptState.READY:
                self.unscale_(optimizer)
            if not optimizer_state["found_inf_per_device"]:
                raise AssertionError("No inf checks were recorded for this optimizer.")
            result = self._step_if_finite(optimizer, optimizer_state["found_inf_per_device"], args, kwargs)
        optimizer_state["stage"] = OptState.STEPPED
        return result

    def _step_if_finite(self, optimizer: Any, found: dict[Device, Tensor], args: Any, kwargs: Any) -> Any:
        if len(found) == 1 and getattr(optimizer, "_skips_on_device", False):
            ((device, found_inf),) = found.items()
            if device.type == "cuda":
                return self._step_given(optimizer, {"found_inf": found_inf}, args, kwargs)
        if any(f.item() for f in found.values()):
            return None
        return optimizer.step(*args, **kwargs)

    def _step_of_its_own(self, optimizer: Any, optimizer_state: dict[str, Any], args: Any, kwargs: Any) -> Any:
        """Of an optimizer that unscales and skips by itself, told how by its attributes `grad_scale` and `found_inf`."""
        if "grad_scaler" in inspect.signature(optimizer.step).parameters:
            warnings.warn(
                "GradScaler is going to stop passing itself as a keyword argument to the passed optimizer. In the near "
                "future GradScaler registers `grad_scale: Tensor` and `found_inf: Tensor` to the passed optimizer and "
                "let the optimizer use them directly.",
                FutureWarning,
                stacklevel=3,
            )
            return optimizer.step(*args, **kwargs, grad_scaler=self)
        scale, _ = self._scale_and_tracker("step")
        unscaled = optimizer_state["stage"] is OptState.UNSCALED
        if not unscaled:
            self._check_inf_per_device(optimizer)
        given = {
            "grad_scale": None if unscaled else scale,
            "found_inf": _together(optimizer_state["found_inf_per_device"].values(), scale.device),
        }
        return self._step_given(optimizer, given, args, kwargs)

    @staticmethod
    def _step_given(optimizer: Any, attributes: dict[str, Any], args: Any, kwargs: Any) -> Any:
        """A step of an optimizer that has these attributes for as long."""
        vars(optimizer).update(attributes)
        try:
            return optimizer.step(*args, **kwargs)
        finally:
            for name in attributes:
                delattr(optimizer, name)

    def _check_inf_per_device(self, optimizer: Any) -> dict[Device, Tensor]:
        """By device, whether a gradient is infinite or NaN; the gradients stay as they are."""
        scale, _ = self._scale_and_tracker("_check_inf_per_device")
        found = self._unscale_grads(optimizer, ops.ones((), dtype=float32, device=scale.device), allow_fp16=True)
        self._per_optimizer_states[id(optimizer)]["found_inf_per_device"] = found
        return found

    def _found_inf_per_device(self, optimizer: Any) -> dict[Device, Tensor]:
        return self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]

    # ------------------------------------------------------------------------------------------------ updating

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Move the scale on, at the end of an iteration; or set it to `new_scale`, a float or a tensor of one element.

        Nothing waits for the device. AssertionError if nothing was scaled or stepped, or for another `new_scale`.
        """
        if not self._enabled:
            return
        scale, tracker = self._scale_and_tracker("update")
        if new_scale is not None:
            self._set_scale(scale, new_scale)
        else:
            found = [f for s in self._per_optimizer_states.values() for f in s["found_inf_per_device"].values()]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            update_scale(
                scale._array,
                tracker._array,
                _together(found, scale.device)._array,
                growth=self._growth_factor,
                backoff=self._backoff_factor,
                interval=self._growth_interval,
            )
            mark_written(scale, tracker)
        self._forget_optimizers()

    def _set_scale(self, scale: Tensor, new_scale: float | Tensor) -> None:
        if isinstance(new_scale, float):
            scale.fill_(new_scale)
            return
        if new_scale.device.type != self._device or new_scale.numel() != 1 or new_scale.requires_grad:
            raise AssertionError(
                f"new_scale should be a float or a 1-element float tensor on {self._device} with requires_grad=False."
            )
        scale.copy_(new_scale.reshape(()))

    # --------------------------------------------------------------------------------------- reading, saving

    def get_scale(self) -> float:
        """The scale, 1.0 if scaling is disabled. Waits for the device."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by when it grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what the scale is multiplied by when it grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a skipped step."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what the scale is multiplied by after a skipped step."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many steps in a row that were not skipped the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set after how many steps in a row that were not skipped the scale grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else self._growth_tracker.item()

    def is_enabled(self) -> bool:
        """Whether losses are scaled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale, its three options and the number of steps since it changed; empty if scaling is disabled.

        To be called after `update`. Waits for the device.
        """
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave. RuntimeError if that was of a scaler that was disabled."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        scale, tracker = state_dict["scale"], state_dict["_growth_tracker"]
        growth, backoff = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_scale, self._init_growth_tracker = scale, tracker
        self._growth_factor, self._backoff_factor = growth, backoff
        if self._scale is not None and self._growth_tracker is not None:
            self._scale.fill_(scale)
            self._growth_tracker.fill_(tracker)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                    "scaler.update()."
                )
            state["_init_scale"], state["_init_growth_tracker"] = self.get_scale(), self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state


def _together(found: Iterable[Tensor], device: Device) -> Tensor:
    """Whether any of `found` is not 0, as one of them is: on `device`."""
    first, *others = [f if same_device(f.device, device) else f.to(device) for f in found]
    for other in others:
        first = first + other
    return first
