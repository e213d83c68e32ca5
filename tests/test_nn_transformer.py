"""Attention with several heads and the Transformer beside PyTorch's: initial weights, outputs, gradients, masks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import each_device
from nn_pair import Case, assert_error, plain, printed, values
from test_nn_layers import close

import gpugrad

pytestmark = [
    each_device,
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:Support for mismatched"),
]
Q, K = (5, 2, 8), (4, 2, 8)


def hidden(lib: ModuleType, *shape: int) -> Any:
    """True where not to look, and somewhere left to look at."""
    mask = np.random.default_rng(3).random(shape) < 0.4
    mask[..., 0] = False
    return lib.tensor(mask.tolist())


def causal(lib: ModuleType, size: int) -> Any:
    return lib.triu(lib.full((size, size), float("-inf")), diagonal=1)


ATTENTION: dict[str, tuple[Callable[[Any], Any], Callable[[Any], dict[str, Any]]]] = {
    "plain": (lambda nn: nn.MultiheadAttention(8, 2), lambda lib: {}),
    "no bias": (lambda nn: nn.MultiheadAttention(8, 4, bias=False), lambda lib: {"need_weights": False}),
    "each head": (lambda nn: nn.MultiheadAttention(8, 2), lambda lib: {"average_attn_weights": False}),
    "added": (
        lambda nn: nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True),
        lambda lib: {"key_padding_mask": hidden(lib, 2, 4), "attn_mask": hidden(lib, 5, 4)},
    ),
    "mask": (lambda nn: nn.MultiheadAttention(8, 2), lambda lib: {"attn_mask": hidden(lib, 4, 5, 4)}),
    "mask of floats": (
        lambda nn: nn.MultiheadAttention(8, 2),
        lambda lib: {"attn_mask": values(lib, 5, 4, seed=4), "need_weights": False},
    ),
    "padding": (
        lambda nn: nn.MultiheadAttention(8, 2),
        lambda lib: {"key_padding_mask": hidden(lib, 2, 4), "need_weights": False},
    ),
    "dropout": (lambda nn: nn.MultiheadAttention(8, 2, dropout=0.4), lambda lib: {}),
    "dropout without weights": (
        lambda nn: nn.MultiheadAttention(8, 2, dropout=0.4),
        lambda lib: {"need_weights": False},
    ),
}


def run_and_compare(
    torch: ModuleType, make: Callable[[Any], Any], call: Callable[[Any, Any, Any], Any], inputs: Any
) -> None:
    results = []
    for library in (gpugrad, torch):
        library.manual_seed(6)
        module, given = make(library.nn), inputs(library)
        library.manual_seed(7)
        out = call(library, module, given)
        outs = [t for t in (out if isinstance(out, tuple) else (out,)) if t is not None]
        sum((t * values(library, *t.shape, seed=8)).sum() for t in outs).backward()
        grads = [t.grad for t in (*given, *module.parameters()) if t.requires_grad]
        results.append((module, plain(module.state_dict()), outs, grads))
    assert printed(results[0][0], torch) == repr(results[1][0])
    assert results[0][1] == results[1][1]
    for what, ours, theirs in (("output", results[0][2], results[1][2]), ("gradient", results[0][3], results[1][3])):
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert (a is None) == (b is None), (what, k)
            if a is not None:
                assert tuple(a.shape) == tuple(b.shape)
                np.testing.assert_allclose(
                    a.detach().cpu().numpy(), b.detach().cpu().numpy(), 1e-4, 2e-5, err_msg=f"{what} {k}"
                )


@pytest.mark.parametrize("name", ATTENTION)
def test_attention(torch: ModuleType, name: str) -> None:
    make, options = ATTENTION[name]

    def inputs(lib: ModuleType) -> Any:
        return [values(lib, *s, seed=k, requires_grad=True) for k, s in enumerate((Q, K, K))]

    run_and_compare(torch, make, lambda lib, module, x: module(*x, **options(lib)), inputs)


def test_attention_of_other_widths(torch: ModuleType) -> None:
    def inputs(lib: ModuleType) -> Any:
        shapes = ((2, 5, 8), (2, 4, 3), (2, 4, 6))
        return [values(lib, *s, seed=k, requires_grad=True) for k, s in enumerate(shapes)]

    def make(nn: Any) -> Any:
        return nn.MultiheadAttention(8, 2, kdim=3, vdim=6, batch_first=True)

    run_and_compare(torch, make, lambda lib, module, x: module(*x), inputs)


@pytest.mark.parametrize("shape", [(5, 8), (2, 5, 8)])
def test_self_attention(torch: ModuleType, shape: tuple[int, ...]) -> None:
    def call(lib: ModuleType, module: Any, given: Any) -> Any:
        (x,) = given
        return module(x, x, x, attn_mask=causal(lib, 5), is_causal=True, need_weights=False)

    run_and_compare(
        torch,
        lambda nn: nn.MultiheadAttention(8, 2, batch_first=True),
        call,
        lambda lib: [values(lib, *shape, requires_grad=True)],
    )


LAYERS: dict[str, Callable[[Any], Any]] = {
    "encoder layer": lambda nn: nn.TransformerEncoderLayer(8, 2, 16),
    "encoder layer, norm first": lambda nn: nn.TransformerEncoderLayer(8, 2, 16, 0.3, "gelu", 1e-3, True, True),
    "encoder": lambda nn: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 4, 12, bias=False, activation=nn.functional.silu), 2, nn.LayerNorm(8)
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
def test_encoders(torch: ModuleType, name: str, masked: bool) -> None:
    def call(lib: ModuleType, module: Any, given: Any) -> Any:
        if not masked:
            return module(given[0])
        # the same number of steps and of samples, so that it fits whichever comes first
        return module(given[0], causal(lib, 5), hidden(lib, 5, 5))

    run_and_compare(torch, LAYERS[name], call, lambda lib: [values(lib, 5, 5, 8, requires_grad=True)])


DECODERS: dict[str, Callable[[Any], Any]] = {
    "decoder layer": lambda nn: nn.TransformerDecoderLayer(8, 2, 16),
    "decoder layer, norm first": lambda nn: nn.TransformerDecoderLayer(8, 2, 16, norm_first=True, dropout=0.0),
    "decoder": lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2),
    "transformer": lambda nn: nn.Transformer(8, 2, 1, 2, 16, dropout=0.2),
    "transformer, norm first": lambda nn: nn.Transformer(8, 2, 2, 1, 16, 0.0, "gelu", norm_first=True, bias=False),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders(torch: ModuleType, name: str) -> None:
    def call(lib: ModuleType, module: Any, given: Any) -> Any:
        first, second = given if "decoder" in name else given[::-1]
        return module(first, second, tgt_mask=causal(lib, 5), memory_key_padding_mask=hidden(lib, 2, 4))

    def inputs(lib: ModuleType) -> Any:
        return [values(lib, *Q, requires_grad=True), values(lib, *K, seed=1, requires_grad=True)]

    run_and_compare(torch, DECODERS[name], call, inputs)


def test_the_mask_of_what_comes_after(torch: ModuleType) -> None:
    ours, theirs = (lib.nn.Transformer.generate_square_subsequent_mask(4) for lib in (gpugrad, torch))
    assert ours.tolist() == theirs.tolist()


def test_evaluation_repeats_itself_and_copies() -> None:
    model = gpugrad.nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    src, tgt = values(gpugrad, 2, 4, 8), values(gpugrad, 2, 3, 8, seed=1)
    close(model(src, tgt), model(src, tgt), "again")
    close(copy.deepcopy(model)(src, tgt), model(src, tgt), "copy")


ERRORS: list[tuple[type[Exception], Case]] = [
    (ValueError, lambda lib: lib.nn.MultiheadAttention(0, 1)),
    (AssertionError, lambda lib: lib.nn.MultiheadAttention(8, 3)),
    (RuntimeError, lambda lib: lib.nn.TransformerEncoderLayer(8, 2, activation="tanh")),
    (RuntimeError, lambda lib: lib.nn.Transformer(8, 2, 1, 1, 8)(lib.ones(3, 2, 8), lib.ones(3, 1, 8))),
    (RuntimeError, lambda lib: lib.nn.Transformer(8, 2, 1, 1, 8)(lib.ones(3, 2, 8), lib.ones(3, 2, 4))),
]


@pytest.mark.parametrize(("error", "case"), ERRORS, ids=range(len(ERRORS)))
def test_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    assert_error(case, torch, error)


CLASSES: list[tuple[type[Exception], Case]] = [
    (AssertionError, lambda lib: attend(lib, (5, 2, 4))),
    (AssertionError, lambda lib: attend(lib, (8,))),
    (AssertionError, lambda lib: attend(lib, Q, key=(4, 8))),
    (AssertionError, lambda lib: attend(lib, Q, value=(3, 2, 8))),
    (AssertionError, lambda lib: attend(lib, Q, key_padding_mask=hidden(lib, 2, 4, 1))),
    (AssertionError, lambda lib: attend(lib, Q, key_padding_mask=hidden(lib, 2, 3))),
    (RuntimeError, lambda lib: attend(lib, Q, attn_mask=hidden(lib, 4, 5))),
    (RuntimeError, lambda lib: attend(lib, Q, attn_mask=hidden(lib, 3, 5, 4))),
    (RuntimeError, lambda lib: attend(lib, Q, is_causal=True)),
]


def attend(lib: ModuleType, query: Any, key: Any = K, value: Any = K, **options: Any) -> Any:
    return lib.nn.MultiheadAttention(8, 2)(lib.ones(*query), lib.ones(*key), lib.ones(*value), **options)


@pytest.mark.parametrize(("error", "case"), CLASSES, ids=range(len(CLASSES)))
def test_class_of_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    for library in (gpugrad, torch):
        with pytest.raises(error):
            case(library)
