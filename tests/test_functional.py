"""nn.functional beyond the op table: errors, warnings, random draws, in-place forms, gradients that are cut off."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import gpugrad
import gpugrad.nn.functional as F


def rand(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def leaf(*shape: int, seed: int = 0) -> gpugrad.Tensor:
    return gpugrad.tensor(rand(*shape, seed=seed), requires_grad=True)


def array(x: Any) -> np.ndarray:
    return x.detach().numpy()


# ---- errors ----


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_target_that_is_no_class_is_an_index_error(loss: Any) -> None:
    with pytest.raises(IndexError, match=r"Target 12 is out of bounds\.$"):
        loss(leaf(2, 5), gpugrad.tensor([1, 12]))
    with pytest.raises(IndexError, match=r"Target -1 is out of bounds\.$"):
        loss(leaf(2, 5), gpugrad.tensor([1, -1]))
    assert np.isfinite(loss(leaf(2, 5), gpugrad.tensor([1, -1]), ignore_index=-1).item())


def test_targets_that_do_not_fit_are_refused() -> None:
    scores = leaf(3, 5)
    with pytest.raises(ValueError, match=r"input batch_size \(3\) to match target batch_size \(2\)"):
        F.cross_entropy(scores, gpugrad.tensor([1, 2]))
    with pytest.raises(RuntimeError, match=r"int64, but got .*int32"):
        F.cross_entropy(scores, gpugrad.tensor([1, 2, 0], dtype=gpugrad.int32))
    with pytest.raises(RuntimeError, match="all 5 classes or no classes"):
        F.cross_entropy(scores, gpugrad.tensor([1, 2, 0]), weight=gpugrad.ones(4, dtype=gpugrad.float64))
    with pytest.raises(ValueError, match="average is not a valid value for reduction"):
        F.cross_entropy(scores, gpugrad.tensor([1, 2, 0]), reduction="average")
    with pytest.raises(RuntimeError, match="label_smoothing must be between"):
        F.cross_entropy(scores, gpugrad.tensor([1, 2, 0]), label_smoothing=1.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.softmax(leaf(2, 3), 2), IndexError, r"range of \[-2, 1\], but got 2"),
        (lambda: F.softmax(gpugrad.tensor([1, 2]), 0), NotImplementedError, "softmax"),
        (lambda: F.layer_norm(leaf(2, 3), (4,)), RuntimeError, r"expected input with shape \[\*, 4\]"),
        (lambda: F.layer_norm(leaf(2, 3), (3,), leaf(2)), RuntimeError, "weight to be of same shape"),
        (lambda: F.batch_norm(leaf(2, 3), None, None), RuntimeError, "running_mean and running_var to be defined"),
        (lambda: F.batch_norm(leaf(1, 3), None, None, training=True), ValueError, "more than 1 value per channel"),
        (lambda: F.batch_norm(leaf(2, 3), None, None, leaf(4), training=True), RuntimeError, "weight should contain 3"),
        (lambda: F.group_norm(leaf(2, 3), 2), RuntimeError, "divisible by num_groups"),
        (lambda: F.conv2d(leaf(1, 3, 4, 4), leaf(2, 4, 3, 3)), RuntimeError, "to have 4 channels"),
        (lambda: F.conv2d(leaf(3, 4), leaf(2, 3, 3, 3)), RuntimeError, r"3D \(unbatched\) or 4D \(batched\)"),
        (lambda: F.conv2d(leaf(1, 3, 4, 4), leaf(2, 3, 3, 3), leaf(3)), RuntimeError, "with 2 elements"),
        (lambda: F.conv2d(leaf(1, 3, 4, 4), leaf(2, 3, 5, 5)), RuntimeError, "larger than the input"),
        (lambda: F.conv2d(leaf(1, 3, 4, 4), leaf(2, 3, 3, 3).float()), RuntimeError, "should be the same"),
        (lambda: F.conv2d(leaf(1, 3, 4, 4), leaf(2, 3, 3, 3), padding="full"), RuntimeError, "Invalid padding string"),
        (lambda: F.conv2d(leaf(1, 3, 4, 4), leaf(2, 3, 3, 3), stride=2, padding="same"), RuntimeError, "strided"),
        (lambda: F.conv2d(leaf(1, 3, 4, 4), leaf(2, 3, 3, 3), stride=(1, 1, 1)), RuntimeError, "a list of 2 values"),
        (lambda: F.conv_transpose1d(leaf(1, 3, 4), leaf(3, 2, 3), output_padding=1), RuntimeError, "output padding"),
        (lambda: F.max_pool2d(leaf(1, 3, 4, 4), 2, padding=2), RuntimeError, "at most half"),
        (lambda: F.max_pool2d(leaf(1, 0, 4, 4), 2), RuntimeError, "no empty dimension"),
        (lambda: F.adaptive_avg_pool2d(leaf(1, 2, 4, 4), (1, 2, 3)), RuntimeError, "an int or 2 ints"),
        (lambda: F.avg_pool2d(leaf(1, 2, 4, 4), 2, divisor_override=0), RuntimeError, "divisor"),
        (lambda: F.fold(leaf(1, 12, 11), (4, 5), 2), RuntimeError, "fold: expected"),
        (lambda: F.pad(leaf(2, 3), (1, 2, 3)), RuntimeError, "divisible by 2"),
        (lambda: F.pad(leaf(2, 3), (1,) * 6), RuntimeError, "two times the input dimension"),
        (lambda: F.pad(leaf(2, 3), (3, 0), "reflect"), RuntimeError, "less than the corresponding input dimension"),
        (lambda: F.pad(leaf(2, 3), (1, 0), "mirror"), NotImplementedError, "mirror"),
        (lambda: F.pad(leaf(2, 3), (1, 0), "reflect", 2.0), ValueError, "value argument"),
        (lambda: F.dropout(leaf(2), 1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: F.dropout1d(leaf(2)), RuntimeError, "Expected 2D or 3D"),
        (lambda: F.embedding(gpugrad.tensor([0, 5]), leaf(5, 2)), IndexError, "index out of range in self"),
        (lambda: F.embedding(leaf(2), leaf(5, 2)), RuntimeError, "scalar types: Long, Int"),
        (lambda: F.one_hot(gpugrad.tensor([0, 5]), 5), RuntimeError, "smaller than num_classes"),
        (lambda: F.one_hot(gpugrad.tensor([0, -5])), RuntimeError, "non-negative"),
        (lambda: F.binary_cross_entropy(leaf(2), leaf(3)), ValueError, "must be the same as input size"),
        (lambda: F.binary_cross_entropy(gpugrad.tensor([1.5]), gpugrad.tensor([1.0])), RuntimeError, "between 0 and 1"),
        (lambda: F.huber_loss(leaf(2), leaf(2), delta=0), ValueError, "non-positive"),
        (lambda: F.gaussian_nll_loss(leaf(2), leaf(2), gpugrad.tensor([-1.0, 1])), ValueError, "negative"),
        (lambda: F.interpolate(leaf(1, 2, 4)), ValueError, "size or scale_factor"),
        (lambda: F.interpolate(leaf(1, 2, 4), 2, mode="bilinear"), NotImplementedError, "1 spatial"),
        (lambda: F.interpolate(leaf(1, 2, 4), 2, align_corners=True), ValueError, "align_corners"),
        (lambda: F.pixel_shuffle(leaf(1, 3, 2, 2), 2), RuntimeError, "divisible by the square"),
        (
            lambda: F.scaled_dot_product_attention(leaf(2, 3), leaf(2, 3), leaf(2, 3), leaf(2, 2), is_causal=True),
            RuntimeError,
            "Explicit attn_mask",
        ),
    ],
)
def test_errors_say_what_was_wrong(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- warnings ----


def test_warnings_are_pytorchs() -> None:
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert np.allclose(array(F.softmax(leaf(2, 3))), array(F.softmax(leaf(2, 3), 1)))
    with pytest.warns(UserWarning, match="Implicit dimension choice for log_softmax"):
        assert np.allclose(array(F.log_softmax(leaf(2, 3, 2))), array(F.log_softmax(leaf(2, 3, 2), 0)))
    with pytest.warns(UserWarning, match="different to the input size"):
        assert F.mse_loss(leaf(3, 1), leaf(3), reduction="none").shape == (3, 3)
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(leaf(2, 3), gpugrad.ones(2, 3, dtype=gpugrad.float64))
    with pytest.warns(UserWarning, match="Use `nn.functional.interpolate` instead"):
        assert F.upsample(leaf(1, 2, 3), scale_factor=2).shape == (1, 2, 6)
    with pytest.warns(UserWarning, match="Use `nn.functional.interpolate` instead"):
        assert F.upsample_nearest(leaf(1, 2, 3), 5).shape == (1, 2, 5)
    with pytest.warns(UserWarning, match="Use `nn.functional.interpolate` instead"):
        assert F.upsample_bilinear(leaf(1, 2, 3, 3), 5).shape == (1, 2, 5, 5)


# ---- dropout ----


@pytest.mark.parametrize(
    "name", ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
)
@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
def test_dropout_draws_what_torch_draws(name: str, p: float, torch: Any) -> None:
    shape = {"dropout2d": (3, 4, 5, 2), "dropout3d": (2, 3, 2, 2, 2)}.get(name, (3, 4, 5))
    values = rand(*shape).astype(np.float32)
    gpugrad.manual_seed(5)
    torch.manual_seed(5)
    ours, theirs = gpugrad.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    for _ in range(2):  # the second draw goes on where the first stopped
        a, b = getattr(F, name)(ours, p, True), getattr(torch.nn.functional, name)(theirs, p, True)
        np.testing.assert_allclose(array(a), b.detach().numpy(), rtol=1e-6, atol=1e-6)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(array(ours.grad), theirs.grad.numpy(), rtol=1e-6)


def test_dropout_does_nothing_out_of_training_and_works_in_place() -> None:
    x = leaf(4, 4)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    y = x.detach().clone()
    gpugrad.manual_seed(1)
    assert F.dropout(y, 0.5, inplace=True) is y
    gpugrad.manual_seed(1)
    np.testing.assert_array_equal(array(y), array(F.dropout(x, 0.5)))
    z = x.detach().clone()
    gpugrad.manual_seed(1)
    F.dropout1d(z, 0.5, inplace=True)
    gpugrad.manual_seed(1)
    np.testing.assert_array_equal(array(z), array(F.dropout1d(x, 0.5)))


def test_dropout_keeps_the_expected_part() -> None:
    gpugrad.manual_seed(0)
    y = array(F.dropout(gpugrad.ones(100, 100), 0.3))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs(np.mean(y == 0) - 0.3) < 0.02


# ---- activations in place ----


@pytest.mark.parametrize(
    "name",
    ["relu", "relu6", "leaky_relu", "elu", "celu", "selu", "silu", "mish", "hardtanh", "hardsigmoid", "hardswish"],
)
def test_activations_in_place(name: str) -> None:
    function = getattr(F, name)
    x, y = leaf(3, 4), leaf(3, 4)
    plain = function(x * 2)
    doubled = y * 2
    assert function(doubled, inplace=True) is doubled
    np.testing.assert_array_equal(array(doubled), array(plain))
    plain.sum().backward()
    doubled.sum().backward()
    np.testing.assert_allclose(array(x.grad), array(y.grad))


def test_names_with_an_underscore_write_in_place() -> None:
    for function in (F.relu_, F.leaky_relu_, F.elu_, F.celu_, F.selu_, F.hardtanh_, F.rrelu_):
        x = gpugrad.tensor([-3.0, 3.0])
        assert function(x) is x
        assert x[0].item() > -3
    x = gpugrad.tensor([-3.0, 3.0])
    assert F.threshold_(x, 0.0, 7.0).tolist() == [7.0, 3.0]


def test_what_follows_a_norm_or_a_pooling_may_be_in_place() -> None:
    for before in (
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.layer_norm(x, (4,)),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.conv2d(x, gpugrad.ones(3, 3, 1, 1, dtype=gpugrad.float64)),
    ):
        x, y = leaf(2, 3, 4, 4), leaf(2, 3, 4, 4)
        F.relu(before(x), inplace=True).sum().backward()
        F.relu(before(y)).sum().backward()
        np.testing.assert_allclose(array(x.grad), array(y.grad))


# ---- embedding ----


def test_the_padding_row_of_an_embedding_gets_no_gradient(torch: Any) -> None:
    indices = np.array([[0, 2, 2], [1, 2, 0]])
    for options in ({"padding_idx": 2}, {"padding_idx": -4}, {"scale_grad_by_freq": True}):
        ours, theirs = leaf(5, 3), torch.tensor(rand(5, 3), requires_grad=True)
        F.embedding(gpugrad.tensor(indices), ours, **options).pow(2).sum().backward()
        torch.nn.functional.embedding(torch.tensor(indices), theirs, **options).pow(2).sum().backward()
        np.testing.assert_allclose(array(ours.grad), theirs.grad.numpy(), rtol=1e-12)


def test_second_derivatives_respect_the_padding_row() -> None:
    weight, indices = leaf(4, 2), gpugrad.tensor([0, 1, 1])
    (first,) = gpugrad.autograd.grad(
        F.embedding(indices, weight, padding_idx=0).pow(3).sum(), weight, create_graph=True
    )
    (second,) = gpugrad.autograd.grad(first.sum(), weight)
    expected = 6 * rand(4, 2) * np.array([[0], [2], [0], [0]])
    np.testing.assert_allclose(array(second), expected, rtol=1e-12)


def test_max_norm_scales_the_rows_that_are_used(torch: Any) -> None:
    values = rand(5, 3).astype(np.float32) * 3
    ours, theirs = gpugrad.tensor(values), torch.tensor(values)
    for norm_type in (2.0, 1.0):
        a = F.embedding(gpugrad.tensor([1, 1, 3]), ours, max_norm=1.0, norm_type=norm_type)
        b = torch.nn.functional.embedding(torch.tensor([1, 1, 3]), theirs, max_norm=1.0, norm_type=norm_type)
        np.testing.assert_allclose(array(a), b.numpy(), rtol=1e-6)
        np.testing.assert_allclose(array(ours), theirs.numpy(), rtol=1e-6)


# ---- cross-entropy ----


def test_ignored_targets_get_no_gradient_even_where_scores_are_infinite() -> None:
    scores = gpugrad.tensor([[1.0, 2.0], [float("inf"), 0.0]], requires_grad=True)
    loss = F.cross_entropy(scores, gpugrad.tensor([0, -100]))
    assert loss.item() == pytest.approx(np.log1p(np.e), rel=1e-6)


def test_large_scores_do_not_overflow() -> None:
    scores = gpugrad.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    F.cross_entropy(scores, gpugrad.tensor([1])).backward()
    assert F.cross_entropy(scores, gpugrad.tensor([1])).item() == 2e4
    assert scores.grad.tolist() == [[1.0, -1.0, 0.0]]


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "huber_loss"])
def test_losses_weighted_elementwise(torch: Any, name: str, reduction: str) -> None:
    given = [1.0, -2.0, 3.0], [0.0, 1.0, 5.0], [0.5, 2.0, 1.0]
    ours, theirs = (
        getattr(m.nn.functional, name)(*map(m.tensor, given[:2]), reduction=reduction, weight=m.tensor(given[2]))
        for m in (gpugrad, torch)
    )
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


def test_old_reduction_flags() -> None:
    x, y = leaf(3, 4), leaf(3, 4, seed=1)
    squares = (rand(3, 4) - rand(3, 4, seed=1)) ** 2
    assert F.mse_loss(x, y, size_average=False).item() == pytest.approx(squares.sum())
    assert F.mse_loss(x, y, reduce=True).item() == pytest.approx(squares.mean())
    np.testing.assert_allclose(array(F.mse_loss(x, y, reduce=False)), squares)


def test_cross_entropy_falls_when_following_its_gradient() -> None:
    scores, target = leaf(8, 5), gpugrad.tensor(np.arange(8) % 5)
    before = F.cross_entropy(scores, target)
    before.backward()
    after = F.cross_entropy(scores.detach() - scores.grad, target)
    assert after.item() < before.item()


# ---- convolution ----


@pytest.mark.parametrize("dilation", [1, 3])
def test_same_padding_of_an_even_kernel(dilation: int, torch: Any) -> None:
    x, weight = rand(2, 3, 9), rand(4, 3, 4, seed=1)
    ours, theirs = gpugrad.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of the copy it makes
        b = torch.nn.functional.conv1d(theirs, torch.tensor(weight), padding="same", dilation=dilation)
    a = F.conv1d(ours, gpugrad.tensor(weight), padding="same", dilation=dilation)
    np.testing.assert_allclose(array(a), b.detach().numpy(), rtol=1e-10)
    a.pow(2).sum().backward()
    b.pow(2).sum().backward()
    np.testing.assert_allclose(array(ours.grad), theirs.grad.numpy(), rtol=1e-9)


def test_transposed_convolution_is_the_adjoint() -> None:
    x, weight, y = leaf(2, 3, 7, 6), leaf(4, 3, 3, 3, seed=1), leaf(2, 4, 4, 3, seed=2)
    forward = F.conv2d(x, weight, stride=2, padding=1)
    back = F.conv_transpose2d(y, weight, stride=2, padding=1, output_padding=(0, 1))
    assert (forward * y).sum().item() == pytest.approx((back * x).sum().item(), rel=1e-12)


def test_convolution_is_differentiated_twice_through_every_argument() -> None:
    from gpugrad.gradcheck import gradgradcheck

    gradgradcheck(lambda x, w, b: F.conv2d(x, w, b, padding=1), (leaf(1, 2, 3, 3), leaf(2, 2, 2, 2), leaf(2)))


# ---- normalization ----


@pytest.mark.parametrize(
    ("shape", "call"),
    [
        ((700, 300), lambda F, x, w, b: F.layer_norm(x, (300,), w, b)),
        ((5, 300, 90), lambda F, x, w, b: F.batch_norm(x, None, None, w, b, training=True)),
        ((40, 300, 17), lambda F, x, w, b: F.group_norm(x, 20, w, b)),
        ((9, 300, 50), lambda F, x, w, b: F.instance_norm(x, weight=w, bias=b)),
    ],
)
def test_normalization_of_more_than_one_block(shape: tuple[int, ...], call: Any, torch: Any) -> None:
    values = [rand(*shape), rand(300, seed=1), rand(300, seed=2)]
    ours = [gpugrad.tensor(v, requires_grad=True) for v in values]
    theirs = [torch.tensor(v, requires_grad=True) for v in values]
    a, b = call(F, *ours), call(torch.nn.functional, *theirs)
    np.testing.assert_allclose(array(a), b.detach().numpy(), atol=1e-12)
    a.pow(3).sum().backward()
    b.pow(3).sum().backward()
    for mine, peer in zip(ours, theirs):
        np.testing.assert_allclose(array(mine.grad), peer.grad.numpy(), atol=1e-9)


# ---- samples of classes, margins ----


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dim", [-1, 0])
def test_gumbel_softmax_draws_what_torch_draws(hard: bool, dim: int, torch: Any) -> None:
    ours, theirs = leaf(4, 5), torch.tensor(rand(4, 5), requires_grad=True)
    gpugrad.manual_seed(3)
    torch.manual_seed(3)
    a = F.gumbel_softmax(ours, 0.7, hard, dim=dim)
    b = torch.nn.functional.gumbel_softmax(theirs, 0.7, hard, dim=dim)
    np.testing.assert_allclose(array(a), b.detach().numpy(), rtol=1e-9, atol=1e-12)
    a.pow(2).sum().backward()
    b.pow(2).sum().backward()
    np.testing.assert_allclose(array(ours.grad), theirs.grad.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin_loss(p: int, reduction: str, torch: Any) -> None:
    for shape, target in (((4, 5), [0, 4, 2, 2]), ((5,), 3)):
        ours, theirs = leaf(*shape), torch.tensor(rand(*shape), requires_grad=True)
        for weight in (None, np.array([1.0, 2, 3, 4, 5])):
            options = {"p": p, "margin": 0.7, "reduction": reduction}
            w = None if weight is None else gpugrad.tensor(weight)
            a = F.multi_margin_loss(ours, gpugrad.tensor(target), weight=w, **options)
            w = None if weight is None else torch.tensor(weight)
            b = torch.nn.functional.multi_margin_loss(theirs, torch.tensor(target), weight=w, **options)
            np.testing.assert_allclose(array(a), b.detach().numpy(), rtol=1e-12)
            a.sum().backward()
            b.sum().backward()
        np.testing.assert_allclose(array(ours.grad), theirs.grad.numpy(), rtol=1e-10)
    with pytest.raises(ValueError, match="only p == 1 and p == 2"):
        F.multi_margin_loss(leaf(2, 3), gpugrad.tensor([0, 1]), p=3)
