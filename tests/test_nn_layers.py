"""Every layer beside PyTorch's: initial values, output, gradients, buffers, printed form, names in its state."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import each_device
from nn_pair import Case, assert_error, assert_same, norms_have_bias, plain, printed, values

import gpugrad
from gpugrad import nn


@dataclass(frozen=True)
class Layer:
    """How to make a layer of `library.nn`, and the shape of its input."""

    make: Callable[[Any], Any]
    shape: tuple[int, ...] = (4, 3)
    integers: int = 0  # the input is integers below this number
    norm_bias: bool = False  # made with `bias=` of a norm, which an older PyTorch has not

    def input(self, library: ModuleType) -> Any:
        if self.integers:
            return library.arange(int(np.prod(self.shape))).reshape(self.shape) % self.integers
        return values(library, *self.shape, requires_grad=True)


IMAGE = (2, 4, 6, 7)
LAYERS: dict[str, Layer] = {
    "Identity": Layer(lambda nn: nn.Identity(5, unused=True)),
    "Linear": Layer(lambda nn: nn.Linear(3, 5)),
    "Linear vector": Layer(lambda nn: nn.Linear(3, 2), (3,)),
    "Linear no bias": Layer(lambda nn: nn.Linear(3, 5, bias=False), (2, 4, 3)),
    "Linear into nothing": Layer(lambda nn: nn.Linear(3, 0)),
    "Linear into nothing from sequences": Layer(lambda nn: nn.Linear(3, 0), (2, 4, 3)),
    "Linear from nothing": Layer(lambda nn: nn.Linear(0, 2), (2, 4, 0)),
    "Flatten": Layer(lambda nn: nn.Flatten(), (2, 3, 4)),
    "Flatten dims": Layer(lambda nn: nn.Flatten(0, 1), (2, 3, 4)),
    "Unflatten": Layer(lambda nn: nn.Unflatten(1, (2, 3)), (4, 6)),
    "Embedding": Layer(lambda nn: nn.Embedding(7, 3), (2, 5), integers=7),
    "Embedding padding": Layer(lambda nn: nn.Embedding(7, 3, padding_idx=2), (2, 5), integers=7),
    "Embedding padding from the end": Layer(lambda nn: nn.Embedding(7, 3, padding_idx=-1), (9,), integers=7),
    "Embedding options": Layer(
        lambda nn: nn.Embedding(7, 3, max_norm=1, norm_type=1, scale_grad_by_freq=True, sparse=False), (9,), integers=7
    ),
    "Dropout": Layer(lambda nn: nn.Dropout(), (5, 40)),
    "Dropout p": Layer(lambda nn: nn.Dropout(p=0.2), (7,)),
    "Dropout all": Layer(lambda nn: nn.Dropout(1.0)),
    "Dropout1d": Layer(lambda nn: nn.Dropout1d(0.3), (4, 9, 2)),
    "Dropout2d": Layer(lambda nn: nn.Dropout2d(), (4, 9, 2, 2)),
    "LayerNorm": Layer(lambda nn: nn.LayerNorm(3)),
    "LayerNorm shape": Layer(lambda nn: nn.LayerNorm((3, 4), eps=1e-3), (2, 3, 4)),
    "LayerNorm no bias": Layer(lambda nn: nn.LayerNorm([4], bias=False), (2, 3, 4)),
    "LayerNorm plain": Layer(lambda nn: nn.LayerNorm(4, elementwise_affine=False), (2, 3, 4)),
    "BatchNorm1d": Layer(lambda nn: nn.BatchNorm1d(3)),
    "BatchNorm1d sequences": Layer(lambda nn: nn.BatchNorm1d(3, momentum=None), (4, 3, 5)),
    "BatchNorm2d": Layer(lambda nn: nn.BatchNorm2d(4, eps=1e-3, momentum=0.2), IMAGE),
    "BatchNorm2d plain": Layer(lambda nn: nn.BatchNorm2d(4, affine=False), IMAGE),
    "BatchNorm2d no bias": Layer(lambda nn: nn.BatchNorm2d(4, bias=False), IMAGE, norm_bias=True),
    "BatchNorm2d untracked": Layer(lambda nn: nn.BatchNorm2d(4, track_running_stats=False), IMAGE),
    "Conv1d": Layer(lambda nn: nn.Conv1d(3, 5, 3), (2, 3, 8)),
    "Conv1d options": Layer(lambda nn: nn.Conv1d(4, 6, 2, 2, 1, dilation=2, groups=2, bias=False), (2, 4, 9)),
    "Conv1d same": Layer(lambda nn: nn.Conv1d(3, 5, 4, padding="same"), (2, 3, 8)),
    "Conv2d": Layer(lambda nn: nn.Conv2d(4, 8, 3, padding=1), IMAGE),
    "Conv2d tuples": Layer(lambda nn: nn.Conv2d(4, 8, (3, 2), (2, 1), (1, 0), (1, 2)), IMAGE),
    "Conv2d depthwise": Layer(lambda nn: nn.Conv2d(4, 8, 3, groups=4), IMAGE),
    "Conv2d valid": Layer(lambda nn: nn.Conv2d(4, 2, 3, padding="valid"), IMAGE),
    "Conv2d same": Layer(lambda nn: nn.Conv2d(4, 2, (4, 3), padding="same", dilation=2), IMAGE),
    "Conv2d reflect": Layer(lambda nn: nn.Conv2d(4, 2, 3, padding=(2, 1), padding_mode="reflect"), IMAGE),
    "Conv2d replicate": Layer(lambda nn: nn.Conv2d(4, 2, 4, padding="same", padding_mode="replicate"), IMAGE),
    "Conv2d circular": Layer(lambda nn: nn.Conv2d(4, 2, 3, padding=(1, 2), padding_mode="circular"), IMAGE),
    "MaxPool2d": Layer(lambda nn: nn.MaxPool2d(2), IMAGE),
    "MaxPool2d options": Layer(lambda nn: nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True), IMAGE),
    "AvgPool2d": Layer(lambda nn: nn.AvgPool2d(2), IMAGE),
    "AvgPool2d options": Layer(lambda nn: nn.AvgPool2d((3, 2), 2, 1, True, False), IMAGE),
    "AvgPool2d divisor": Layer(lambda nn: nn.AvgPool2d(2, divisor_override=3), IMAGE),
    "AdaptiveAvgPool2d": Layer(lambda nn: nn.AdaptiveAvgPool2d((2, 3)), IMAGE),
    "AdaptiveAvgPool2d None": Layer(lambda nn: nn.AdaptiveAvgPool2d((None, 1)), IMAGE),
    "ReLU": Layer(lambda nn: nn.ReLU()),
    "ReLU6": Layer(lambda nn: nn.ReLU6()),
    "ELU": Layer(lambda nn: nn.ELU(0.5)),
    "SELU": Layer(lambda nn: nn.SELU()),
    "CELU": Layer(lambda nn: nn.CELU(alpha=2.0)),
    "GELU": Layer(lambda nn: nn.GELU()),
    "GELU tanh": Layer(lambda nn: nn.GELU("tanh")),
    "SiLU": Layer(lambda nn: nn.SiLU()),
    "Mish": Layer(lambda nn: nn.Mish()),
    "LeakyReLU": Layer(lambda nn: nn.LeakyReLU()),
    "LeakyReLU slope": Layer(lambda nn: nn.LeakyReLU(0.2)),
    "PReLU": Layer(lambda nn: nn.PReLU()),
    "PReLU channels": Layer(lambda nn: nn.PReLU(4, init=0.1), IMAGE),
    "Sigmoid": Layer(lambda nn: nn.Sigmoid()),
    "Tanh": Layer(lambda nn: nn.Tanh()),
    "LogSigmoid": Layer(lambda nn: nn.LogSigmoid()),
    "Softsign": Layer(lambda nn: nn.Softsign()),
    "Tanhshrink": Layer(lambda nn: nn.Tanhshrink()),
    "Hardsigmoid": Layer(lambda nn: nn.Hardsigmoid()),
    "Hardswish": Layer(lambda nn: nn.Hardswish()),
    "Hardtanh": Layer(lambda nn: nn.Hardtanh(-0.5, max_val=0.25)),
    "Softplus": Layer(lambda nn: nn.Softplus(beta=2, threshold=1)),
    "Hardshrink": Layer(lambda nn: nn.Hardshrink(0.25)),
    "Softshrink": Layer(lambda nn: nn.Softshrink()),
    "Softmax": Layer(lambda nn: nn.Softmax(dim=1)),
    "LogSoftmax": Layer(lambda nn: nn.LogSoftmax(0)),
    "Softmin": Layer(lambda nn: nn.Softmin(-1)),
    "Sequential": Layer(lambda nn: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))),
}
# What PyTorch warns of: a weight without elements, and a convolution that pads one side more than the other.
pytestmark = [
    each_device,
    pytest.mark.filterwarnings("ignore:Initializing zero-element tensors"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
]
each_layer = pytest.mark.parametrize("name", LAYERS)


def made(library: ModuleType, layer: Layer) -> Any:
    """The layer, made from the same seed in both libraries."""
    library.manual_seed(7)
    return layer.make(library.nn)


def close(ours: Any, theirs: Any, what: str) -> None:
    np.testing.assert_allclose(ours.detach().cpu().numpy(), theirs.detach().cpu().numpy(), 2e-5, 2e-6, err_msg=what)


@each_layer
def test_made_as_in_pytorch(torch: ModuleType, name: str) -> None:
    check_as_in_pytorch(torch, LAYERS[name])


def need_norm_bias(torch: ModuleType, layer: Layer) -> None:
    if layer.norm_bias and not norms_have_bias(torch):
        pytest.skip(f"this norm has no bias= in PyTorch {torch.__version__}")


def check_as_in_pytorch(torch: ModuleType, layer: Layer) -> None:
    need_norm_bias(torch, layer)
    ours, theirs = made(gpugrad, layer), made(torch, layer)
    assert printed(ours, torch) == repr(theirs)
    assert plain(ours.state_dict()) == plain(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


@each_layer
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_output_and_gradients(torch: ModuleType, name: str, training: bool) -> None:
    check_output_and_gradients(torch, LAYERS[name], training)


def check_output_and_gradients(torch: ModuleType, layer: Layer, training: bool) -> None:
    need_norm_bias(torch, layer)
    results = []
    for library in (gpugrad, torch):
        module, x = made(library, layer).train(training), layer.input(library)
        library.manual_seed(11)
        module(x)  # twice, for the statistics that it keeps
        output = module(x)
        assert output.dtype is library.float32
        if output.requires_grad:
            output.backward(values(library, *output.shape, seed=1))
        results.append((output, x.grad, module))
    (ours, our_grad, our_module), (theirs, their_grad, their_module) = results
    assert tuple(ours.shape) == tuple(theirs.shape)
    close(ours, theirs, "output")
    if not layer.integers:
        close(our_grad, their_grad, "gradient of the input")
    for (key, p), q in zip(our_module.named_parameters(), their_module.parameters()):
        close(p.grad, q.grad, f"gradient of {key}")
    for (key, b), c in zip(our_module.named_buffers(), their_module.buffers()):
        close(b, c, key)


@each_layer
def test_copies_and_converts(name: str) -> None:
    check_copies_and_converts(LAYERS[name])


def check_copies_and_converts(layer: Layer) -> None:
    module = made(gpugrad, layer).eval()
    x = layer.input(gpugrad)
    module(x)  # the first call may limit the norms of an embedding's rows
    expected = module(x).tolist()
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        np.testing.assert_allclose(copied(x).tolist(), expected, 1e-6)
    fresh = layer.make(nn).eval()
    fresh.load_state_dict(module.state_dict())
    np.testing.assert_allclose(fresh(x).tolist(), expected, 1e-6)
    wide = module.double()(x if layer.integers else x.double())
    assert wide.dtype is gpugrad.float64
    np.testing.assert_allclose(wide.detach().cpu().numpy(), expected, 1e-3, 1e-5)


INPLACE = ["ReLU", "ReLU6", "ELU", "SELU", "CELU", "SiLU", "Mish", "LeakyReLU", "Hardsigmoid", "Hardswish", "Hardtanh"]


@pytest.mark.parametrize("name", [*INPLACE, "Dropout"])
def test_in_place(torch: ModuleType, name: str) -> None:
    results = []
    for library in (gpugrad, torch):
        module = getattr(library.nn, name)(inplace=True)
        leaf = values(library, 4, 3, requires_grad=True)
        library.manual_seed(3)
        x = leaf * 1
        assert module(x) is x
        x.sum().backward()
        results.append((repr(module), x, leaf.grad))
    (text, ours, our_grad), (expected, theirs, their_grad) = results
    assert text == expected
    close(ours, theirs, "output")
    close(our_grad, their_grad, "gradient")


def classes(library: ModuleType) -> Any:
    return library.tensor([0, 2, 1, 2])


def likelihoods(library: ModuleType) -> Any:
    return values(library, 4, 3, seed=2).sigmoid()


LOSSES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "MSELoss": (lambda lib: lib.nn.MSELoss(), likelihoods),
    "MSELoss sum": (lambda lib: lib.nn.MSELoss(reduction="sum"), likelihoods),
    "MSELoss none": (lambda lib: lib.nn.MSELoss(reduction="none"), likelihoods),
    "L1Loss": (lambda lib: lib.nn.L1Loss(), likelihoods),
    "SmoothL1Loss": (lambda lib: lib.nn.SmoothL1Loss(beta=0.5), likelihoods),
    "HuberLoss": (lambda lib: lib.nn.HuberLoss(delta=0.7), likelihoods),
    "CrossEntropyLoss": (lambda lib: lib.nn.CrossEntropyLoss(), classes),
    "CrossEntropyLoss options": (
        lambda lib: lib.nn.CrossEntropyLoss(lib.tensor([0.2, 0.3, 0.5]), ignore_index=1, label_smoothing=0.1),
        classes,
    ),
    "CrossEntropyLoss probabilities": (lambda lib: lib.nn.CrossEntropyLoss(reduction="sum"), likelihoods),
    "NLLLoss": (lambda lib: lib.nn.NLLLoss(lib.tensor([0.2, 0.3, 0.5]), ignore_index=0), classes),
    "BCEWithLogitsLoss": (lambda lib: lib.nn.BCEWithLogitsLoss(), likelihoods),
    "BCEWithLogitsLoss weights": (
        lambda lib: lib.nn.BCEWithLogitsLoss(lib.tensor([1.0, 2.0, 3.0]), pos_weight=lib.tensor([3.0, 2.0, 1.0])),
        likelihoods,
    ),
    "KLDivLoss": (lambda lib: lib.nn.KLDivLoss(reduction="batchmean"), likelihoods),
    "KLDivLoss log": (lambda lib: lib.nn.KLDivLoss(reduction="sum", log_target=True), likelihoods),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(torch: ModuleType, name: str) -> None:
    make, target = LOSSES[name]
    results = []
    for library in (gpugrad, torch):
        x = values(library, 4, 3, requires_grad=True)
        module = make(library)
        loss = module(x, target(library))
        loss.sum().backward()
        results.append((repr(module), list(module.state_dict()), loss, x.grad))
    (text, keys, ours, our_grad), (expected, expected_keys, theirs, their_grad) = results
    assert (text, keys) == (expected, expected_keys)
    close(ours, theirs, "loss")
    close(our_grad, their_grad, "gradient")


def test_bce_loss(torch: ModuleType) -> None:
    for options in ({}, {"weight": [1.0, 2.0, 3.0]}, {"reduction": "sum"}):
        results = []
        for library in (gpugrad, torch):
            given = {k: library.tensor(v) if isinstance(v, list) else v for k, v in options.items()}
            x = values(library, 4, 3, requires_grad=True)
            loss = library.nn.BCELoss(**given)(x.sigmoid(), likelihoods(library))
            loss.backward()
            results.append((loss, x.grad))
        close(results[0][0], results[1][0], "loss")
        close(results[0][1], results[1][1], "gradient")


@pytest.mark.parametrize(
    "options", [{"reduce": False}, {"size_average": False}, {"size_average": True, "reduce": True}]
)
@pytest.mark.filterwarnings("ignore:size_average and reduce args will be deprecated")
def test_old_names_of_reduction(torch: ModuleType, options: dict[str, bool]) -> None:
    assert_same(lambda lib: lib.nn.MSELoss(**options).reduction, torch)


def test_max_pool_returns_indices(torch: ModuleType) -> None:
    assert_same(lambda lib: lib.nn.MaxPool2d(2, return_indices=True)(values(lib, *IMAGE)), torch)


def test_embedding_from_pretrained(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        table = values(library, 5, 2)
        frozen = library.nn.Embedding.from_pretrained(table)
        tuned = library.nn.Embedding.from_pretrained(table, freeze=False, padding_idx=1)
        return repr(tuned), frozen.weight, tuned.weight, frozen(library.tensor([4, 1])), frozen.weight.requires_grad

    assert_same(case, torch)


def test_device_and_dtype_of_new_layers(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        options = {"device": "cpu", "dtype": library.float64}
        library.manual_seed(0)
        made = [
            library.nn.Linear(2, 3, **options),
            library.nn.Conv2d(2, 3, 1, **options),
            library.nn.Embedding(2, 3, **options),
            library.nn.BatchNorm2d(2, **options),
            library.nn.LayerNorm(2, **options),
            library.nn.PReLU(2, **options),
        ]
        return [module.state_dict() for module in made]

    assert_same(case, torch)


def test_reset_parameters(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        library.manual_seed(5)
        made = [library.nn.Linear(2, 3), library.nn.Conv2d(2, 3, 2), library.nn.BatchNorm2d(2), library.nn.LayerNorm(2)]
        made.append(library.nn.Embedding(4, 2, padding_idx=1))
        for module in made:
            for p in module.parameters():
                library.nn.init.constant_(p, 9)
            module.reset_parameters()
        return [module.state_dict() for module in made]

    assert_same(case, torch)


ERRORS: list[tuple[type[Exception], Case]] = [
    (ValueError, lambda lib: lib.nn.Conv2d(3, 4, 3, groups=2)),
    (ValueError, lambda lib: lib.nn.Conv2d(4, 3, 3, groups=2)),
    (ValueError, lambda lib: lib.nn.Conv2d(4, 4, 3, groups=0)),
    (ValueError, lambda lib: lib.nn.Conv1d(4, 4, 3, stride=2, padding="same")),
    (ValueError, lambda lib: lib.nn.BatchNorm1d(3)(lib.ones(3))),
    (ValueError, lambda lib: lib.nn.BatchNorm1d(3)(lib.ones(1, 3))),
    (ValueError, lambda lib: lib.nn.BatchNorm2d(3)(lib.ones(2, 3))),
    (ValueError, lambda lib: lib.nn.Dropout(1.5)),
    (ValueError, lambda lib: lib.nn.Dropout(-0.1)),
    (AssertionError, lambda lib: lib.nn.Embedding(3, 2, padding_idx=3)),
    (AssertionError, lambda lib: lib.nn.Embedding(3, 2, padding_idx=-4)),
]


@pytest.mark.parametrize(("error", "case"), ERRORS)
def test_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    assert_error(case, torch, error)


def test_options_that_do_not_exist_are_named() -> None:
    with pytest.raises(ValueError, match="Invalid padding string 'full'"):
        nn.Conv2d(1, 1, 1, padding="full")
    with pytest.raises(ValueError, match="but got 'mirror'"):
        nn.Conv2d(1, 1, 1, padding_mode="mirror")
    for arguments, options in (((1, 2), {}), ((), {"slope": 1}), ((1,), {"negative_slope": 1})):
        with pytest.raises(TypeError, match=r"LeakyReLU\(\) takes \(negative_slope, inplace\)"):
            nn.LeakyReLU(*arguments, 3, **options) if options == {} else nn.LeakyReLU(*arguments, **options)
