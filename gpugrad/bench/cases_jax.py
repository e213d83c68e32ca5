"""The cases as a JAX user writes them: functions, compiled by `jax.jit`. Inputs and initial weights are the others'.

Only where JAX is installed, and only loaded in its own process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import clock
from .case import Case, Layer, Op, Step, Training
from .cases_transfer import Transfer
from .peer import Peer

nn = jax.nn


class JaxPeer(Peer):
    """JAX on a device."""

    def __init__(self, name: str, device: str, dtype: str) -> None:
        if dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "highest")  # else float32 is TF32 on a GPU
        super().__init__(name, device, dtype)
        self.dtype = jnp.dtype(dtype)
        self.place_of_arrays = jax.devices("gpu" if device == "cuda" else "cpu")[0]

    def _put(self, array: np.ndarray, *, floating: bool) -> Any:
        array = array.astype(self.dtype if floating else np.int32)
        self.bytes += array.nbytes
        return jax.device_put(array, self.place_of_arrays)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` compiled when it is first called."""
        return self.once(lambda: jax.jit(function))

    def weights(self, model: Callable[[Any], Any]) -> dict[str, Any]:
        """The parameters that the other peers begin with, by name."""
        import gpugrad

        gpugrad.manual_seed(0)
        made = model(gpugrad.nn)
        found = made.named_parameters() if hasattr(made, "named_parameters") else ()
        return {name: self._put(p.detach().numpy(), floating=True) for name, p in found}

    def build(self, case: Case, n: int) -> Step:
        """The step to time; NotImplementedError for a case that has no version here."""
        if isinstance(case, Transfer):
            return _copy(self, case, n)
        function = FUNCTIONS.get(case.name)
        if function is None:
            raise NotImplementedError(f"{case.name} has no JAX version")
        if isinstance(case, Training):
            return _training(self, case, function, n)
        if isinstance(case, Layer):
            weights = self.weights(case.layer)
            return _differentiated(self, function, (*case.inputs(self, n), *weights.values()))
        assert isinstance(case, Op)
        inputs = case.inputs(self, n)
        if case.backward:
            return _differentiated(self, function, inputs)
        run = self.compile(function)
        return lambda: (run(*inputs),)

    def clock(self, case: Case) -> clock.Clock:
        """Until the arrays are there: after each step where others return with results, else after the last."""
        return clock.until_done(jax.block_until_ready, each=self.device == "cpu" or case.by_wall_clock)

    def to_numpy(self, tensor: Any) -> np.ndarray:
        """Values in float64."""
        return np.asarray(tensor).astype(np.float64)

    def facts(self) -> dict[str, Any]:
        """Version and devices of the library."""
        found: dict[str, Any] = {"version": jax.__version__, "devices": {"cpu": "CPU"}}
        with contextlib.suppress(RuntimeError):  # this build of JAX has no GPU
            found["devices"]["cuda"] = jax.devices("gpu")[0].device_kind
        return found


def _differentiated(peer: JaxPeer, function: Callable[..., Any], inputs: Sequence[Any]) -> Step:
    g = peer.normal(*jax.eval_shape(function, *inputs).shape)

    @peer.compile
    def run(inputs: tuple[Any, ...], g: Any) -> tuple[Any, ...]:
        floats = [i for i, x in enumerate(inputs) if jnp.issubdtype(x.dtype, jnp.floating)]

        def of_floats(*values: Any) -> Any:
            return function(*(values[floats.index(i)] if i in floats else x for i, x in enumerate(inputs)))

        y, pull = jax.vjp(of_floats, *(inputs[i] for i in floats))
        return (y, *pull(g))

    fixed = tuple(inputs)
    return lambda: run(fixed, g)


def _training(peer: JaxPeer, case: Training, forward: Callable[..., Any], n: int) -> Step:
    """The whole step as one function, which may write over the old state; Adam, written out."""
    weights = peer.weights(case.model)
    batch = case.data(peer, n)

    def loss_of(weights: dict[str, Any], x: Any, target: Any) -> Any:
        return _cross_entropy(forward(weights, x), target)

    def update(state: Any, x: Any, target: Any) -> Any:
        weights, first, second, t = state
        loss, gradients = jax.value_and_grad(loss_of)(weights, x, target)
        t = t + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        rate, scale = case.lr / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        weights = jax.tree.map(
            lambda w, m, v: (w - rate * m / (jnp.sqrt(v) * scale + 1e-8)).astype(w.dtype), weights, first, second
        )
        return (weights, first, second, t), loss

    run = peer.once(lambda: jax.jit(update, donate_argnums=0))
    state = (weights, *[jax.tree.map(jnp.zeros_like, weights) for _ in range(2)], jnp.zeros((), jnp.float32))

    def step() -> Sequence[Any]:
        nonlocal state
        state, loss = run(state, *batch)
        return (loss,)

    return step


def _copy(peer: JaxPeer, case: Case, n: int) -> Step:
    x = peer.normal(n)
    host = np.asarray(x)
    copies: dict[str, Callable[[], Any]] = {
        "host-to-device": lambda: jax.device_put(host, peer.place_of_arrays),
        "device-to-host": lambda: np.array(x + 0),  # of a new array: JAX keeps the host's copy of an old one
        "within-memory": lambda: jnp.array(x, copy=True),
    }
    if case.name not in copies:
        raise NotImplementedError(f"{case.name} has no JAX version")
    run = copies[case.name]
    return lambda: (run(),)


def _cross_entropy(scores: Any, target: Any) -> Any:
    return -jnp.take_along_axis(nn.log_softmax(scores, 1), target[:, None], 1).mean()


def _conv(x: Any, weight: Any, bias: Any) -> Any:
    return jax.lax.conv(x, weight, (1, 1), "SAME") + bias[:, None, None]


def _max_pool(x: Any) -> Any:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def _layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * weight + bias


def _batch_norm(x: Any, weight: Any, bias: Any) -> Any:
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * weight[:, None, None] + bias[:, None, None]


def _attention(q: Any, k: Any, v: Any) -> Any:
    return nn.softmax(q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5, -1) @ v


def _gelu_by_hand(x: Any) -> Any:
    return 0.5 * x * (1 + jnp.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def _linear(w: dict[str, Any], name: str, x: Any) -> Any:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _mlp(w: dict[str, Any], x: Any) -> Any:
    return _linear(w, "4", nn.relu(_linear(w, "2", nn.relu(_linear(w, "0", x)))))


def _cnn(w: dict[str, Any], x: Any) -> Any:
    for name in ("0", "3"):
        x = _max_pool(nn.relu(_conv(x, w[f"{name}.weight"], w[f"{name}.bias"])))
    return _linear(w, "7", x.reshape(x.shape[0], -1))


def _sentences(w: dict[str, Any], words: Any) -> Any:
    x = _layer_norm(w["embedding.weight"][words], w["norm.weight"], w["norm.bias"]).mean(1)
    return _linear(w, "head", nn.gelu(_linear(w, "hidden", x), approximate=False))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "copy": lambda x: jnp.array(x, copy=True),
    "add": lambda x, y: x + y,
    "add-bias": lambda x, b: x + b,
    "where": lambda x, y: jnp.where(x > 0, x, y),
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "formula": _gelu_by_hand,
    "formula-backward": _gelu_by_hand,
    "sum": jnp.sum,
    "sum-rows": lambda x: x.sum(1),
    "sum-columns": lambda x: x.sum(0),
    "max-rows": lambda x: x.max(1),
    "cumsum": lambda x: jnp.cumsum(x, 1),
    "softmax": lambda x: nn.softmax(x, 1),
    "sort": lambda x: jnp.sort(x, 1),
    "transpose": lambda x: jnp.array(x.T),
    "concatenate": lambda x, y: jnp.concatenate((x, y)),
    "matmul": lambda x, y: x @ y,
    "matmul-backward": lambda x, y: x @ y,
    "matmul-batched": lambda x, y: x @ y,
    "index-rows": lambda table, index: table[index],
    "index-add": lambda table, index, x: table.at[index].add(x),
    "Linear": lambda x, weight, bias: x @ weight.T + bias,
    "Conv2d": _conv,
    "LayerNorm": _layer_norm,
    "BatchNorm2d": _batch_norm,
    "Embedding": lambda index, weight: weight[index],
    "CrossEntropyLoss": lambda scores, target: _cross_entropy(scores, target),
    "attention": _attention,
    "mlp-small": _mlp,
    "mlp-medium": _mlp,
    "mlp-large": _mlp,
    "cnn": _cnn,
    "embedding-layernorm": _sentences,
}
