"""The layers beyond the first ones, beside PyTorch's: see `test_nn_layers.py` for what is compared."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from device_tools import each_device
from nn_pair import Case, assert_error, assert_same, values
from test_nn_layers import Layer, check_as_in_pytorch, check_copies_and_converts, check_output_and_gradients, close

import gpugrad

pytestmark = each_device

SEQUENCE, IMAGE, VOLUME = (2, 4, 9), (2, 4, 6, 7), (2, 4, 5, 4, 6)
LAYERS: dict[str, Layer] = {
    "Conv3d": Layer(lambda nn: nn.Conv3d(4, 2, (3, 2, 1), padding=1), VOLUME),
    "ConvTranspose1d": Layer(lambda nn: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2), SEQUENCE),
    "ConvTranspose2d": Layer(lambda nn: nn.ConvTranspose2d(4, 3, 4, 2, 1), IMAGE),
    "ConvTranspose2d options": Layer(
        lambda nn: nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, False, (1, 2)), IMAGE
    ),
    "ConvTranspose3d": Layer(lambda nn: nn.ConvTranspose3d(4, 2, 2, 2), VOLUME),
    "MaxPool1d": Layer(lambda nn: nn.MaxPool1d(3, 2, padding=1), SEQUENCE),
    "MaxPool3d": Layer(lambda nn: nn.MaxPool3d(2, ceil_mode=True), VOLUME),
    "AvgPool1d": Layer(lambda nn: nn.AvgPool1d(3, 2, 1, True, False), SEQUENCE),
    "AvgPool3d": Layer(lambda nn: nn.AvgPool3d((2, 2, 3), divisor_override=5), VOLUME),
    "LPPool1d": Layer(lambda nn: nn.LPPool1d(2, 3), SEQUENCE),
    "LPPool2d": Layer(lambda nn: nn.LPPool2d(3, (2, 3), stride=2, ceil_mode=False), IMAGE),
    "AdaptiveAvgPool1d": Layer(lambda nn: nn.AdaptiveAvgPool1d(4), SEQUENCE),
    "AdaptiveAvgPool3d": Layer(lambda nn: nn.AdaptiveAvgPool3d((2, None, 3)), VOLUME),
    "AdaptiveMaxPool1d": Layer(lambda nn: nn.AdaptiveMaxPool1d(4), SEQUENCE),
    "AdaptiveMaxPool2d": Layer(lambda nn: nn.AdaptiveMaxPool2d((2, 3)), IMAGE),
    "AdaptiveMaxPool3d": Layer(lambda nn: nn.AdaptiveMaxPool3d(2), VOLUME),
    "BatchNorm3d": Layer(lambda nn: nn.BatchNorm3d(4), VOLUME),
    "GroupNorm": Layer(lambda nn: nn.GroupNorm(2, 4), IMAGE),
    "GroupNorm plain": Layer(lambda nn: nn.GroupNorm(4, 4, eps=1e-3, affine=False), SEQUENCE),
    "GroupNorm no bias": Layer(lambda nn: nn.GroupNorm(1, 4, bias=False), SEQUENCE, norm_bias=True),
    "InstanceNorm1d": Layer(lambda nn: nn.InstanceNorm1d(4), SEQUENCE),
    "InstanceNorm1d one": Layer(lambda nn: nn.InstanceNorm1d(4, affine=True), (4, 9)),
    "InstanceNorm2d": Layer(lambda nn: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGE),
    "InstanceNorm3d": Layer(lambda nn: nn.InstanceNorm3d(4, eps=1e-3), VOLUME),
    "RMSNorm": Layer(lambda nn: nn.RMSNorm(7), IMAGE),
    "RMSNorm shape": Layer(lambda nn: nn.RMSNorm((6, 7), eps=1e-3, elementwise_affine=False), IMAGE),
    "LocalResponseNorm": Layer(lambda nn: nn.LocalResponseNorm(2, alpha=0.5, beta=0.6, k=2.0), IMAGE),
    "LocalResponseNorm sequences": Layer(lambda nn: nn.LocalResponseNorm(3), SEQUENCE),
    "Upsample": Layer(lambda nn: nn.Upsample(scale_factor=2), IMAGE),
    "Upsample size": Layer(lambda nn: nn.Upsample((5, 9), mode="bilinear"), IMAGE),
    "Upsample linear": Layer(lambda nn: nn.Upsample(scale_factor=1.5, mode="linear", align_corners=True), SEQUENCE),
    "Upsample factors": Layer(lambda nn: nn.Upsample(scale_factor=(2, 3), mode="bicubic"), IMAGE),
    "UpsamplingNearest2d": Layer(lambda nn: nn.UpsamplingNearest2d(scale_factor=2), IMAGE),
    "UpsamplingBilinear2d": Layer(lambda nn: nn.UpsamplingBilinear2d(size=8), IMAGE),
    "PixelShuffle": Layer(lambda nn: nn.PixelShuffle(2), IMAGE),
    "PixelUnshuffle": Layer(lambda nn: nn.PixelUnshuffle(2), (2, 3, 4, 6)),
    "ChannelShuffle": Layer(lambda nn: nn.ChannelShuffle(2), IMAGE),
    "Unfold": Layer(lambda nn: nn.Unfold((2, 3), padding=1, stride=2), IMAGE),
    "Fold": Layer(lambda nn: nn.Fold((4, 5), 2), (2, 8, 12)),
    "ConstantPad1d": Layer(lambda nn: nn.ConstantPad1d(2, 3.5), SEQUENCE),
    "ConstantPad2d": Layer(lambda nn: nn.ConstantPad2d((1, 2, 0, 1), -1), IMAGE),
    "ConstantPad3d": Layer(lambda nn: nn.ConstantPad3d(1, 0.5), VOLUME),
    "ZeroPad1d": Layer(lambda nn: nn.ZeroPad1d(2), SEQUENCE),
    "ZeroPad2d": Layer(lambda nn: nn.ZeroPad2d((1, 0, 2, 1)), IMAGE),
    "ZeroPad3d": Layer(lambda nn: nn.ZeroPad3d(1), VOLUME),
    "ReflectionPad1d": Layer(lambda nn: nn.ReflectionPad1d((1, 2)), SEQUENCE),
    "ReflectionPad2d": Layer(lambda nn: nn.ReflectionPad2d(1), IMAGE),
    "ReflectionPad3d": Layer(lambda nn: nn.ReflectionPad3d(1), VOLUME),
    "ReplicationPad1d": Layer(lambda nn: nn.ReplicationPad1d(2), SEQUENCE),
    "ReplicationPad2d": Layer(lambda nn: nn.ReplicationPad2d((1, 2, 3, 0)), IMAGE),
    "ReplicationPad3d": Layer(lambda nn: nn.ReplicationPad3d(1), VOLUME),
    "CircularPad1d": Layer(lambda nn: nn.CircularPad1d(2), SEQUENCE),
    "CircularPad2d": Layer(lambda nn: nn.CircularPad2d((1, 2, 0, 1)), IMAGE),
    "CircularPad3d": Layer(lambda nn: nn.CircularPad3d(1), VOLUME),
    "Dropout3d": Layer(lambda nn: nn.Dropout3d(0.4), VOLUME),
    "AlphaDropout": Layer(lambda nn: nn.AlphaDropout(0.3), (5, 8)),
    "FeatureAlphaDropout": Layer(lambda nn: nn.FeatureAlphaDropout(), IMAGE),
    "GLU": Layer(lambda nn: nn.GLU(1), IMAGE),
    "Threshold": Layer(lambda nn: nn.Threshold(0.1, 20)),
    "Softmax2d": Layer(lambda nn: nn.Softmax2d(), IMAGE),
}
each_layer = pytest.mark.parametrize("name", LAYERS)


@each_layer
def test_made_as_in_pytorch(torch: ModuleType, name: str) -> None:
    check_as_in_pytorch(torch, LAYERS[name])


@each_layer
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_output_and_gradients(torch: ModuleType, name: str, training: bool) -> None:
    check_output_and_gradients(torch, LAYERS[name], training)


@each_layer
def test_copies_and_converts(name: str) -> None:
    check_copies_and_converts(LAYERS[name])


def two(lib: ModuleType) -> list[Any]:
    return [values(lib, 5, 3, requires_grad=True), values(lib, 5, 3, seed=1)]


def signs(lib: ModuleType) -> Any:
    return lib.tensor([1, -1, 1, 1, -1])


OF_SEVERAL: dict[str, tuple[Callable[[Any], Any], Callable[[Any], list[Any]]]] = {
    "CosineSimilarity": (lambda lib: lib.nn.CosineSimilarity(dim=0), two),
    "PairwiseDistance": (lambda lib: lib.nn.PairwiseDistance(p=1, keepdim=True), two),
    "Bilinear": (lambda lib: lib.nn.Bilinear(3, 3, 4), two),
    "Bilinear no bias": (lambda lib: lib.nn.Bilinear(3, 3, 2, bias=False), two),
    "PoissonNLLLoss": (lambda lib: lib.nn.PoissonNLLLoss(full=True), lambda lib: [two(lib)[0], two(lib)[1].exp()]),
    "GaussianNLLLoss": (lambda lib: lib.nn.GaussianNLLLoss(), lambda lib: [*two(lib), lib.full((5, 1), 0.7)]),
    "SoftMarginLoss": (lambda lib: lib.nn.SoftMarginLoss(), lambda lib: [two(lib)[0], two(lib)[1].sign()]),
    "HingeEmbeddingLoss": (lambda lib: lib.nn.HingeEmbeddingLoss(), lambda lib: [two(lib)[0], two(lib)[1].sign()]),
    "MarginRankingLoss": (
        lambda lib: lib.nn.MarginRankingLoss(0.3, reduction="sum"),
        lambda lib: [*two(lib), two(lib)[1].sign()],
    ),
    "CosineEmbeddingLoss": (lambda lib: lib.nn.CosineEmbeddingLoss(0.2), lambda lib: [*two(lib), signs(lib)]),
    "MultiLabelSoftMarginLoss": (
        lambda lib: lib.nn.MultiLabelSoftMarginLoss(lib.tensor([1.0, 2.0, 0.5])),
        lambda lib: [two(lib)[0], (two(lib)[1] > 0).float()],
    ),
    "MultiMarginLoss": (
        lambda lib: lib.nn.MultiMarginLoss(p=2, margin=0.8),
        lambda lib: [two(lib)[0], lib.tensor([0, 2, 1, 1, 0])],
    ),
    "TripletMarginLoss": (
        lambda lib: lib.nn.TripletMarginLoss(swap=True),
        lambda lib: [*two(lib), values(lib, 5, 3, seed=2)],
    ),
    "TripletMarginWithDistanceLoss": (
        lambda lib: lib.nn.TripletMarginWithDistanceLoss(margin=0.5),
        lambda lib: [*two(lib), values(lib, 5, 3, seed=2)],
    ),
}


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_layers_and_losses_of_several_inputs(torch: ModuleType, name: str) -> None:
    make, inputs = OF_SEVERAL[name]
    results = []
    for library in (gpugrad, torch):
        library.manual_seed(3)
        module, given = make(library), inputs(library)
        out = module(*given)
        out.backward(values(library, *out.shape, seed=4))
        results.append((repr(module), out, given[0].grad, *[p.grad for p in module.parameters()]))
    (text, *ours), (expected, *theirs) = results
    assert text == expected
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == tuple(b.shape)
        close(a, b, name)


def test_output_size_of_transposed_convolution(torch: ModuleType) -> None:
    def case(lib: Any) -> Any:
        lib.manual_seed(0)
        layer, x = lib.nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1), values(lib, 1, 2, 4, 5)
        return [tuple(layer(x, output_size=size).shape) for size in ([8, 10], [7, 9], (1, 3, 8, 9))]

    assert assert_same(case, torch)[0] == [1, 3, 8, 10]


def test_pooling_with_indices_and_back(torch: ModuleType) -> None:
    def case(lib: Any) -> Any:
        nn, results = lib.nn, []
        for pool, unpool, adaptive, shape in (
            (nn.MaxPool1d(2, return_indices=True), nn.MaxUnpool1d(2), nn.AdaptiveMaxPool1d(3, True), (2, 3, 8)),
            (nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2), nn.AdaptiveMaxPool2d(3, True), (1, 2, 4, 6)),
            (nn.MaxPool3d(2, return_indices=True), nn.MaxUnpool3d(2), nn.AdaptiveMaxPool3d(2, True), (1, 2, 4, 4, 4)),
        ):
            x = values(lib, *shape)
            out, indices = pool(x)
            results += [out, indices, unpool(out, indices), repr(unpool), *adaptive(x)]
        return results

    assert_same(case, torch)


ERRORS: list[tuple[type[Exception], Case]] = [
    (ValueError, lambda lib: lib.nn.GroupNorm(3, 4)),
    (ValueError, lambda lib: lib.nn.ConvTranspose2d(2, 2, 3, padding_mode="reflect")),
    (ValueError, lambda lib: lib.nn.ConvTranspose2d(2, 2, 3, stride=2)(lib.ones(1, 2, 4, 4), output_size=[20, 20])),
    (ValueError, lambda lib: lib.nn.ConvTranspose2d(2, 2, 3, stride=2)(lib.ones(1, 2, 4, 4), output_size=[20])),
    (ValueError, lambda lib: lib.nn.InstanceNorm2d(3)(lib.ones(2, 3))),
    (ValueError, lambda lib: lib.nn.InstanceNorm2d(3, affine=True)(lib.ones(2, 4, 3, 3))),
    (ValueError, lambda lib: lib.nn.BatchNorm3d(3)(lib.ones(2, 3, 4, 4))),
    (ValueError, lambda lib: lib.nn.MultiMarginLoss(p=3)),
    (ValueError, lambda lib: lib.nn.TripletMarginLoss(margin=-1.0)),
    (ValueError, lambda lib: lib.nn.TripletMarginWithDistanceLoss(margin=0.0)),
    (ValueError, lambda lib: lib.nn.Softmax2d()(lib.ones(2, 3))),
]


@pytest.mark.parametrize(("error", "case"), ERRORS)
def test_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    assert_error(case, torch, error)
