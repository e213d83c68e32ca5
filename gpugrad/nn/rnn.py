"""Recurrent layers: RNN, LSTM, GRU, and single steps of them."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable
from typing import Any

from ..core import Tensor
from ..ops import empty, recurrent, zeros
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

_MODES: dict[str, tuple[int, Callable[..., Any]]] = {  # gates, function
    "RNN_TANH": (1, recurrent.rnn_tanh),
    "RNN_RELU": (1, recurrent.rnn_relu),
    "LSTM": (4, recurrent.lstm),
    "GRU": (3, recurrent.gru),
}


def _autocasts() -> bool:
    """Whether ops convert what they are given."""
    from ..amp.casting import state

    return bool(state.enabled)


class RNNBase(Module):
    """What recurrent layers share: their weights, and the order of what goes in and comes out.

    ValueError or TypeError for options out of range.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if mode not in _MODES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        _check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._names = [
            [f"{name}_l{layer}{suffix}" for name in self._kinds()]
            for layer in range(num_layers)
            for suffix in (("", "_reverse") if bidirectional else ("",))
        ]
        directions = 2 if bidirectional else 1
        for k, names in enumerate(self._names):
            wide = input_size if k < directions else directions * (proj_size or hidden_size)
            for name, shape in zip(names, self._shapes(wide)):
                setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _kinds(self) -> list[str]:
        biases = ["bias_ih", "bias_hh"] if self.bias else []
        return ["weight_ih", "weight_hh", *biases, *(["weight_hr"] if self.proj_size else [])]

    def _shapes(self, input_size: int) -> list[tuple[int, ...]]:
        gates = _MODES[self.mode][0] * self.hidden_size
        biases: list[tuple[int, ...]] = [(gates,), (gates,)] if self.bias else []
        projection = [(self.proj_size, self.hidden_size)] if self.proj_size else []
        return [(gates, input_size), (gates, self.proj_size or self.hidden_size), *biases, *projection]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def flatten_parameters(self) -> None:
        """Nothing to do: there is no library here that wants the weights in one stretch of memory."""

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(hidden_size), drawn as PyTorch draws them."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _state_sizes(self) -> list[int]:
        """The width of each tensor of the state."""
        return [self.hidden_size]

    def _run(self, input: Any, hx: Any) -> tuple[Any, list[Tensor]]:
        """Outputs, packed if `input` is, and the last state; `hx`: the first, a list of tensors, or None."""
        if isinstance(input, PackedSequence):
            data, sizes, order, back = input
            out, last = self._over(data, (sizes,), hx, int(sizes[0].item()), order)
            return PackedSequence(out, sizes, order, back), last if back is None else [
                s.index_select(1, back) for s in last
            ]
        if input.ndim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        if input.ndim == 3:
            return self._over(input, (), hx, input.shape[0 if self.batch_first else 1], None)
        if hx is not None and any(s.ndim != 2 for s in hx):
            raise RuntimeError(
                f"For unbatched 2-D input, hx should also be 2-D but got {max(s.ndim for s in hx)}-D tensor"
            )
        time = 1 if not self.batch_first else 0
        out, last = self._over(input.unsqueeze(time), (), hx and [s.unsqueeze(1) for s in hx], 1, None)
        return out.squeeze(time), [s.squeeze(1) for s in last]

    def _over(self, input: Tensor, sizes: Any, hx: Any, batch: int, order: Any) -> tuple[Any, list[Tensor]]:
        if input.dtype != self.weight_ih_l0.dtype and not _autocasts():
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({self.weight_ih_l0.dtype}). Convert "
                f"input: input.to({self.weight_ih_l0.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )
        states = self._first_state(input, hx, batch, order)
        weights = [w for group in self.all_weights for w in group]
        options = [self.bias, self.num_layers, self.dropout, self.training, self.bidirectional]
        options += [] if sizes else [self.batch_first]
        first = states if self.mode == "LSTM" else states[0]
        out, *last = _MODES[self.mode][1](input, *sizes, first, weights, *options)
        return out, last

    def _first_state(self, input: Tensor, hx: Any, batch: int, order: Any) -> list[Tensor]:
        """`hx` in the order of `order`, or zeros. RuntimeError for another shape."""
        layers = len(self._names)
        shapes = [(layers, batch, size) for size in self._state_sizes()]
        if hx is None:
            return [zeros(shape, dtype=input.dtype, device=input.device) for shape in shapes]
        for k, (state, shape) in enumerate(zip(hx, shapes, strict=True)):
            if tuple(state.shape) != shape:
                which = f"hidden[{k}]" if self.mode == "LSTM" else "hidden"
                raise RuntimeError(f"Expected {which} size {shape}, got {list(state.shape)}")
        return list(hx) if order is None else [s.index_select(1, order) for s in hx]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """(T, N, input) to (T, N, directions * H), or with the batch first; and the last state, (layers, N, H).

        `input` may be packed, or without the batch. RuntimeError or ValueError if shapes or dtypes do not fit.
        """
        out, (last,) = self._run(input, None if hx is None else [hx])
        return out, last

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        shown = [(name, getattr(self, name)) for name, default in defaults.items() if getattr(self, name) != default]
        return "".join([text, *[f", {name}={value}" for name, value in shown]])


def _check_options(
    input_size: Any, hidden_size: Any, num_layers: Any, bias: Any, batch_first: Any, dropout: Any, proj_size: Any
) -> None:
    """PyTorch's errors for options out of range; its warning for dropout that has no place."""
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:  # type: ignore[operator]
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and num_layers == 1:  # type: ignore[operator]
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value, kind in (
        ("bias", bias, bool),
        ("batch_first", batch_first, bool),
        ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


class RNN(RNNBase):
    """`h = tanh(W_ih x + b_ih + W_hh h + b_hh)`, or its positive part with `nonlinearity="relu"`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        options = (num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, *options)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory. With `proj_size`, the hidden state is a projection to that many numbers.

    The order of the gates in the weights is PyTorch's: input, forget, cell, output.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)
        super().__init__("LSTM", input_size, hidden_size, *options)

    def _state_sizes(self) -> list[int]:
        return [self.proj_size or self.hidden_size, self.hidden_size]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """As `RNNBase.forward`; the state is a pair, hidden state and cells."""
        out, last = self._run(input, None if hx is None else list(hx))
        return out, tuple(last)


class GRU(RNNBase):
    """Gated recurrent units. The order of the gates in the weights is PyTorch's: reset, update, new."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__("GRU", input_size, hidden_size, *options)


class RNNCellBase(Module):
    """What single steps share: two weights and two biases for `num_chunks` gates."""

    nonlinearity = "tanh"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        options = {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(empty(gates, input_size, **options))
        self.weight_hh = Parameter(empty(gates, hidden_size, **options))
        self.register_parameter("bias_ih", Parameter(empty(gates, **options)) if bias else None)
        self.register_parameter("bias_hh", Parameter(empty(gates, **options)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, function: Callable[..., Any], input: Tensor, hx: Any) -> tuple[Tensor, ...]:
        """`function` for (N, input) or, one sample, (input); `hx`: the tensors of the state. ValueError for others."""
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        if hx is None:
            count = 2 if isinstance(self, LSTMCell) else 1
            shape = (*input.shape[:-1], self.hidden_size)
            hx = [zeros(shape, dtype=input.dtype, device=input.device)] * count
        elif any(s.ndim not in (1, 2) for s in hx):
            raise ValueError(f"{name}: Expected hidden to be 1D or 2D, got {[s.ndim for s in hx]} dimensions instead")
        single = input.ndim == 1
        rows = [t.unsqueeze(0) if single else t for t in (input, *hx)]
        state = rows[1:] if isinstance(self, LSTMCell) else rows[1]
        out = function(rows[0], state, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        outs = out if isinstance(out, tuple) else (out,)
        return tuple(t.squeeze(0) for t in outs) if single else outs

    def extra_repr(self) -> str:
        bias = "" if self.bias else f", bias={self.bias}"
        how = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return f"{self.input_size}, {self.hidden_size}{bias}{how}"


class RNNCell(RNNCellBase):
    """One step of `RNN`. RuntimeError from `forward` for an unknown nonlinearity."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """(N, input), (N, H) to (N, H), or without N."""
        functions = {"tanh": recurrent.rnn_tanh_cell, "relu": recurrent.rnn_relu_cell}
        if self.nonlinearity not in functions:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(functions[self.nonlinearity], input, None if hx is None else [hx])[0]


class LSTMCell(RNNCellBase):
    """One step of `LSTM`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, ...]:
        """(N, input) and a pair of (N, H), or all without N; returns the new pair."""
        return self._step(recurrent.lstm_cell, input, None if hx is None else list(hx))


class GRUCell(RNNCellBase):
    """One step of `GRU`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """(N, input), (N, H) to (N, H), or without N."""
        return self._step(recurrent.gru_cell, input, None if hx is None else [hx])[0]
