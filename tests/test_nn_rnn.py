"""Recurrent layers and packed sequences beside PyTorch's: initial weights, outputs, states, gradients, second ones."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import each_device
from nn_pair import Case, assert_error, assert_same, plain, values
from test_nn_layers import close

import gpugrad
from gpugrad.gradcheck import gradcheck, gradgradcheck

LAYERS: dict[str, Callable[[Any], Any]] = {
    "RNN": lambda nn: nn.RNN(3, 5),
    "RNN relu": lambda nn: nn.RNN(3, 4, 2, nonlinearity="relu", bias=False),
    "LSTM": lambda nn: nn.LSTM(3, 5),
    "LSTM deep": lambda nn: nn.LSTM(3, 4, num_layers=3, bidirectional=True, dropout=0.3),
    "LSTM projected": lambda nn: nn.LSTM(3, 6, 2, proj_size=2, bidirectional=True),
    "LSTM no bias": lambda nn: nn.LSTM(3, 6, bias=False, proj_size=4),
    "GRU": lambda nn: nn.GRU(3, 5),
    "GRU deep": lambda nn: nn.GRU(3, 4, 2, bidirectional=True, bias=False),
}
pytestmark = [each_device, pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")]
each_layer = pytest.mark.parametrize("name", LAYERS)


def flat(result: Any) -> list[Any]:
    return [t for part in result for t in flat(part)] if isinstance(result, (tuple, list)) else [result]


def made(library: ModuleType, name: str) -> Any:
    library.manual_seed(5)
    return LAYERS[name](library.nn)


def state_for(library: ModuleType, layer: Any, batch: tuple[int, ...]) -> Any:
    """An initial state that requires a gradient."""
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    sizes = [layer.proj_size or layer.hidden_size] + ([layer.hidden_size] if layer.mode == "LSTM" else [])
    states = [values(library, count, *batch, n, seed=k, requires_grad=True) for k, n in enumerate(sizes)]
    return tuple(states) if len(states) == 2 else states[0]


def compare(torch: ModuleType, name: str, run: Callable[[Any, Any], tuple[list[Any], list[Any]]]) -> None:
    """`run(library, layer)` gives outputs and inputs; outputs and gradients of inputs and weights must agree."""
    results = []
    for library in (gpugrad, torch):
        layer = made(library, name)
        library.manual_seed(9)
        outputs, inputs = run(library, layer)
        loss = sum((out * values(library, *out.shape, seed=7 + k)).sum() for k, out in enumerate(outputs))
        loss.backward()
        results.append((outputs, [t.grad for t in inputs], [p.grad for p in layer.parameters()]))
    for what, ours, theirs in zip(("output", "gradient of input", "gradient of weight"), *results, strict=True):
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert tuple(a.shape) == tuple(b.shape)
            close(a, b, f"{what} {k}")


@each_layer
def test_made_as_in_pytorch(torch: ModuleType, name: str) -> None:
    ours, theirs = made(gpugrad, name), made(torch, name)
    assert repr(ours) == repr(theirs)
    assert plain(ours.state_dict()) == plain(theirs.state_dict())
    assert [[tuple(w.shape) for w in ws] for ws in ours.all_weights] == [
        [tuple(w.shape) for w in ws] for ws in theirs.all_weights
    ]


@each_layer
def test_sequences_of_one_length(torch: ModuleType, name: str) -> None:
    def run(library: ModuleType, layer: Any) -> Any:
        x = values(library, 6, 2, 3, requires_grad=True)
        state = state_for(library, layer, (2,))
        return flat(layer(x, state)), [x, *flat(state)]

    compare(torch, name, run)


@each_layer
def test_without_a_first_state(torch: ModuleType, name: str) -> None:
    def run(library: ModuleType, layer: Any) -> Any:
        layer.batch_first = True
        x = values(library, 2, 6, 3, requires_grad=True)
        return flat(layer.eval()(x)), [x]

    compare(torch, name, run)


@each_layer
def test_one_sequence(torch: ModuleType, name: str) -> None:
    def run(library: ModuleType, layer: Any) -> Any:
        x = values(library, 4, 3, requires_grad=True)
        state = state_for(library, layer, ())
        return flat(layer(x, state)), [x, *flat(state)]

    compare(torch, name, run)


@each_layer
def test_packed_sequences(torch: ModuleType, name: str) -> None:
    def run(library: ModuleType, layer: Any) -> Any:
        rnn = library.nn.utils.rnn
        x = values(library, 6, 4, 3, requires_grad=True)
        state = state_for(library, layer, (4,))
        packed = rnn.pack_padded_sequence(x, [3, 6, 1, 3], enforce_sorted=False)
        out, last = layer(packed, state)
        padded, lengths = rnn.pad_packed_sequence(out, padding_value=2.0)
        assert lengths.tolist() == [3, 6, 1, 3]
        return [padded, *flat(last)], [x, *flat(state)]

    compare(torch, name, run)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_only_what_is_used_has_a_gradient(torch: ModuleType, name: str) -> None:
    """The loss sees the last state alone, of frozen weights."""

    def run(library: ModuleType, layer: Any) -> Any:
        layer.weight_ih_l0.requires_grad_(False)
        x = values(library, 4, 2, 3, requires_grad=True)
        return [flat(layer(x)[1])[0]], [x]

    results = []
    for library in (gpugrad, torch):
        layer = made(library, name)
        outputs, (x,) = run(library, layer)
        outputs[0].sum().backward()
        results.append((x.grad, layer.weight_hh_l0.grad, layer.weight_ih_l0.grad))
    close(results[0][0], results[1][0], "gradient of input")
    close(results[0][1], results[1][1], "gradient of weight")
    assert results[0][2] is None and results[1][2] is None


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("lengths", [[3, 3], [3, 1]])
def test_derivatives_agree_with_finite_differences(name: str, lengths: list[int]) -> None:
    layer = made(gpugrad, name).double()
    layer.dropout = 0.0
    rnn = gpugrad.nn.utils.rnn
    rng = np.random.default_rng(0)
    states = flat(state_for(gpugrad, layer, (2,)))
    inputs = [gpugrad.tensor(rng.standard_normal((3, 2, 3)), requires_grad=True)]
    inputs += [gpugrad.tensor(rng.standard_normal(tuple(s.shape)), requires_grad=True) for s in states]
    inputs += [layer.weight_hh_l0]

    def run(x: Any, *rest: Any) -> Any:
        state = rest[: len(states)]
        out, last = layer(rnn.pack_padded_sequence(x, lengths), state if len(state) == 2 else state[0])
        return (out.data, *flat(last))

    gradcheck(run, inputs)
    gradgradcheck(run, inputs)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_half_precision(torch: ModuleType, kind: str) -> None:
    for dtype in ("float16", "bfloat16"):
        outs = []
        for library in (gpugrad, torch):
            library.manual_seed(0)
            layer = getattr(library.nn, kind)(4, 4).to(getattr(library, dtype))
            x = values(library, 5, 2, 4).to(getattr(library, dtype))
            out = layer(x)[0]
            out.float().sum().backward()
            outs.append((out.detach().float().cpu().numpy(), layer.weight_ih_l0.grad.float().cpu().numpy()))
        for a, b in zip(*outs, strict=True):
            np.testing.assert_allclose(a, b, rtol=0.1, atol=0.06)


CELLS: dict[str, Callable[[Any], Any]] = {
    "RNNCell": lambda nn: nn.RNNCell(3, 4),
    "RNNCell relu": lambda nn: nn.RNNCell(3, 4, nonlinearity="relu", bias=False),
    "LSTMCell": lambda nn: nn.LSTMCell(3, 4),
    "LSTMCell no bias": lambda nn: nn.LSTMCell(3, 4, bias=False),
    "GRUCell": lambda nn: nn.GRUCell(3, 4),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("batch", [(2,), ()], ids=["batch", "single"])
@pytest.mark.parametrize("given", [True, False], ids=["state", "zeros"])
def test_cells(torch: ModuleType, name: str, batch: tuple[int, ...], given: bool) -> None:
    results = []
    for library in (gpugrad, torch):
        library.manual_seed(2)
        cell, x = CELLS[name](library.nn), values(library, *batch, 3, requires_grad=True)
        states = [values(library, *batch, 4, seed=k, requires_grad=True) for k in range(2 if "LSTM" in name else 1)]
        outs = flat(cell(x, tuple(states) if len(states) == 2 else states[0]) if given else cell(x))
        sum((out * values(library, *out.shape, seed=k)).sum() for k, out in enumerate(outs)).backward()
        grads = [t.grad for t in (x, *(states if given else []), *cell.parameters())]
        results.append((repr(cell), *outs, *grads))
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1:], results[1][1:], strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        close(a, b, name)


def test_functions_at_the_top_level(torch: ModuleType) -> None:
    def case(lib: Any) -> Any:
        w = [values(lib, 8, 3), values(lib, 8, 2, seed=1), values(lib, 8, seed=2), values(lib, 8, seed=3)]
        x, h, c = values(lib, 4, 2, 3), values(lib, 1, 2, 2), values(lib, 1, 2, 2, seed=5)
        out = [*lib.lstm(x, (h, c), w, True, 1, 0.0, False, False, False)]
        out += [*lib.gru(x, h, [t[:6] for t in w], True, 1, 0.0, False, False, True)][:1] if x.shape[0] == 2 else []
        out += lib.rnn_tanh(x, h, [t[:2] for t in w[:2]], False, 1, 0.0, False, False, False)
        out += lib.rnn_relu(x[0], lib.tensor([2]), h, [t[:2] for t in w], True, 1, 0.0, False, False)
        out += [*lib.lstm_cell(x[0], (h[0], c[0]), *w), lib.gru_cell(x[0], h[0], *[t[:6] for t in w])]
        out += [lib.rnn_tanh_cell(x[0], h[0], *[t[:2] for t in w]), lib.rnn_relu_cell(x[0], h[0], *[t[:2] for t in w])]
        return out

    for a, b in zip(case(gpugrad), case(torch), strict=True):
        close(a, b, "top level")


@each_layer
def test_copies(name: str) -> None:
    layer = made(gpugrad, name).eval()
    x = values(gpugrad, 4, 2, 3)
    expected = flat(layer(x))
    fresh = LAYERS[name](gpugrad.nn).eval()
    fresh.load_state_dict(layer.state_dict())
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), fresh):
        for a, b in zip(flat(other(x)), expected, strict=True):
            np.testing.assert_array_equal(a.detach().cpu().numpy(), b.detach().cpu().numpy())


# ------------------------------------------------------------------------------------------------- packed sequences


def sequences(lib: ModuleType) -> list[Any]:
    return [values(lib, n, 2, seed=n) for n in (4, 2, 1)]


PACKING: list[Case] = [
    lambda lib: lib.nn.utils.rnn.pad_sequence(sequences(lib)),
    lambda lib: lib.nn.utils.rnn.pad_sequence(sequences(lib), batch_first=True, padding_value=-1, padding_side="left"),
    lambda lib: lib.nn.utils.rnn.pad_sequence(lib.arange(6).reshape(3, 2)),
    lambda lib: tuple(lib.nn.utils.rnn.pack_sequence(sequences(lib))),
    lambda lib: tuple(lib.nn.utils.rnn.pack_sequence(sequences(lib)[::-1], enforce_sorted=False)),
    lambda lib: lib.nn.utils.rnn.unpack_sequence(lib.nn.utils.rnn.pack_sequence(sequences(lib))),
    lambda lib: tuple(lib.nn.utils.rnn.pack_padded_sequence(values(lib, 3, 5, 2), lib.tensor([5, 5, 2]), True)),
    lambda lib: lib.nn.utils.rnn.pad_packed_sequence(
        lib.nn.utils.rnn.pack_sequence(sequences(lib)), batch_first=True, padding_value=9.0, total_length=6
    ),
    lambda lib: lib.nn.utils.rnn.invert_permutation(lib.tensor([2, 0, 1, 3])),
    lambda lib: lib.nn.utils.rnn.unpad_sequence(values(lib, 3, 4), lib.tensor([4, 1, 2]), batch_first=True),
    lambda lib: str(lib.nn.utils.rnn.pack_sequence(sequences(lib)).double().data.dtype),
]


@pytest.mark.parametrize("case", PACKING, ids=range(len(PACKING)))
def test_packing(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)


ERRORS: list[tuple[type[Exception], Case]] = [
    (ValueError, lambda lib: lib.nn.LSTM(3, 4, dropout=1.5)),
    (ValueError, lambda lib: lib.nn.LSTM(3, 4, proj_size=4)),
    (ValueError, lambda lib: lib.nn.LSTM(3, 4, proj_size=-1)),
    (ValueError, lambda lib: lib.nn.GRU(0, 4)),
    (ValueError, lambda lib: lib.nn.GRU(3, 4, num_layers=0)),
    (TypeError, lambda lib: lib.nn.GRU(3, 4.0)),
    (TypeError, lambda lib: lib.nn.GRU(3, 4, bias=1)),
    (ValueError, lambda lib: lib.nn.RNN(3, 4, nonlinearity="sine")),
    (RuntimeError, lambda lib: lib.nn.RNN(3, 4)(lib.ones(2, 2, 5))),
    (ValueError, lambda lib: lib.nn.RNN(3, 4)(lib.ones(2, 2, 3).double())),
]


@pytest.mark.parametrize(("error", "case"), ERRORS, ids=range(len(ERRORS)))
def test_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    assert_error(case, torch, error)


CLASSES: list[tuple[type[Exception], Case]] = [
    (ValueError, lambda lib: lib.nn.RNN(3, 4)(lib.ones(3))),
    (RuntimeError, lambda lib: lib.nn.LSTM(3, 4)(lib.ones(2, 2, 3), (lib.ones(1, 1, 4), lib.ones(1, 2, 4)))),
    (RuntimeError, lambda lib: lib.nn.GRU(3, 4)(lib.ones(2, 3), lib.ones(1, 1, 4))),
    (RuntimeError, lambda lib: lib.nn.GRU(3, 4)(lib.ones(0, 2, 3))),
    (ValueError, lambda lib: lib.nn.LSTMCell(3, 4)(lib.ones(2, 2, 3))),
    (RuntimeError, lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(4, 2, 3), [2, 4])),
    (RuntimeError, lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(4, 2, 3), [4, 0])),
    (RuntimeError, lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(4, 2, 3), [4])),
    (RuntimeError, lambda lib: lib.nn.utils.rnn.pad_sequence([])),
    (RuntimeError, lambda lib: lib.nn.utils.rnn.pad_sequence([lib.ones(2, 3), lib.ones(2, 4)])),
    (RuntimeError, lambda lib: lib.nn.utils.rnn.pad_sequence([lib.ones(2)], padding_side="top")),
    (
        ValueError,
        lambda lib: lib.nn.utils.rnn.pad_packed_sequence(
            lib.nn.utils.rnn.pack_sequence(sequences(lib)), total_length=2
        ),
    ),
]


@pytest.mark.parametrize(("error", "case"), CLASSES, ids=range(len(CLASSES)))
def test_class_of_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    for library in (gpugrad, torch):
        with pytest.raises(error):
            case(library)


def test_dropout_of_one_layer_warns() -> None:
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        gpugrad.nn.GRU(3, 4, dropout=0.5)


def test_lengths_beyond_the_padding_are_refused() -> None:
    with pytest.raises(RuntimeError, match="at least 5, the largest length, got 4"):
        gpugrad.nn.utils.rnn.pack_padded_sequence(gpugrad.ones(4, 2, 3), [5, 2])
