"""Switches, flags, legacy types and the names at the top level that differ from `nn.functional`, beside PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from nn_pair import assert_error, assert_same, values

import gpugrad


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gpugrad.use_deterministic_algorithms(False)
    gpugrad.set_float32_matmul_precision("highest")
    gpugrad.set_default_dtype(gpugrad.float32)


def test_deterministic_algorithms(torch: ModuleType) -> None:
    def case(lib: Any) -> Any:
        seen = []
        for call in (
            lambda: lib.use_deterministic_algorithms(True),
            lambda: lib.use_deterministic_algorithms(True, warn_only=True),
            lambda: lib.use_deterministic_algorithms(mode=False),
            lambda: lib.set_deterministic_debug_mode("error"),
            lambda: lib.set_deterministic_debug_mode(1),
            lambda: lib.set_deterministic_debug_mode("default"),
        ):
            call()
            seen += [lib.are_deterministic_algorithms_enabled(), lib.get_deterministic_debug_mode()]
            seen.append(lib.is_deterministic_algorithms_warn_only_enabled())
        return seen

    assert_same(case, torch)
    assert_error(lambda lib: lib.set_deterministic_debug_mode("loud"), torch, RuntimeError)
    with pytest.raises(TypeError, match="must be bool, not str"):
        gpugrad.use_deterministic_algorithms("yes")
    assert not gpugrad.are_deterministic_algorithms_enabled()


def test_matmul_precision(torch: ModuleType) -> None:
    def case(lib: Any) -> Any:
        seen = [lib.get_float32_matmul_precision(), lib.backends.cuda.matmul.allow_tf32]
        for precision in ("high", "medium", "highest"):
            lib.set_float32_matmul_precision(precision)
            seen.append(lib.get_float32_matmul_precision())
        return seen

    assert_same(case, torch)
    gpugrad.backends.cuda.matmul.allow_tf32 = True
    assert gpugrad.get_float32_matmul_precision() == "high"
    with pytest.warns(UserWarning, match="is not one of"):
        gpugrad.set_float32_matmul_precision("exact")
    assert gpugrad.get_float32_matmul_precision() == "high"


def test_backends_without_an_accelerator(torch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.backends.cudnn, "allow_tf32", True
    )  # the benchmarks, run before in this process, say False

    def case(lib: Any) -> Any:
        b = lib.backends
        return [
            (b.cudnn.enabled, b.cudnn.deterministic, b.cudnn.benchmark, b.cudnn.allow_tf32),
            (b.cudnn.is_available(), b.cudnn.version(), b.mps.is_available(), b.mps.is_built(), b.cuda.is_built()),
            (lib.accelerator.is_available(), lib.accelerator.device_count(), lib.accelerator.current_accelerator()),
        ]

    assert_same(case, torch)
    asks = "current_device_index synchronize current_stream empty_cache memory_allocated memory_stats get_memory_info"
    for name, arguments in (("set_device_index", (0,)), *((name, ()) for name in asks.split())):
        with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
            getattr(gpugrad.accelerator, name)(*arguments)


def test_cudnn_flags() -> None:
    cudnn = gpugrad.backends.cudnn
    cudnn.benchmark = True
    with cudnn.flags(enabled=False, deterministic=True):
        assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (False, False, True)
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (True, True, False)
    cudnn.benchmark = False


TYPES = ["Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool"]


@pytest.mark.parametrize("name", [f"{t}Tensor" for t in TYPES])
def test_legacy_types(torch: ModuleType, name: str) -> None:
    def case(lib: Any) -> Any:
        kind = getattr(lib, name)
        converted = lib.ones(2, 3).type(kind)
        made = [
            kind([1, 0]),
            kind(((1, 0), (0, 1))),
            kind(converted),
            kind(),
            kind(2, 3).shape,
            kind(lib.Size([4])).shape,
        ]
        of_types = [isinstance(converted, getattr(lib, f"{t}Tensor")) for t in TYPES]
        return [made, of_types, kind.dtype, repr(kind), converted.type(), lib.typename(converted)]

    assert_same(case, torch)


@pytest.mark.cuda
def test_legacy_types_say_the_device_too(device: str) -> None:
    x = gpugrad.ones(2)
    there = x.type(gpugrad.cuda.HalfTensor)
    assert there.is_cuda and there.type() == "gpugrad.cuda.HalfTensor" and isinstance(there, gpugrad.cuda.HalfTensor)
    assert there.type("torch.cuda.FloatTensor").type() == "gpugrad.cuda.FloatTensor"
    assert there.type(gpugrad.float64).is_cuda and not there.type(gpugrad.FloatTensor).is_cuda
    assert x.type(gpugrad.uint16).type() == "gpugrad.UInt16Tensor"
    with pytest.raises(ValueError, match=r"invalid type: 'cuda.StringTensor'; it is one of gpugrad.cuda.FloatTensor"):
        x.type("cuda.StringTensor")


def test_what_legacy_types_refuse(torch: ModuleType) -> None:
    for case in (
        lambda lib: lib.LongTensor(lib.ones(2)),
        lambda lib: lib.FloatTensor(2.5),
        lambda lib: lib.cuda.FloatTensor(2),
        lambda lib: lib.set_default_tensor_type(lib.LongTensor),
    ):
        for library in (gpugrad, torch):
            with pytest.raises(TypeError):
                case(library)
    assert gpugrad.get_default_dtype() is gpugrad.float32
    assert not isinstance(gpugrad.ones(2), gpugrad.cuda.FloatTensor)
    with pytest.raises(AttributeError):
        _ = gpugrad.cuda.StringTensor


def test_default_tensor_type() -> None:
    gpugrad.set_default_tensor_type("gpugrad.DoubleTensor")
    assert gpugrad.ones(1).dtype is gpugrad.float64
    gpugrad.set_default_tensor_type(gpugrad.FloatTensor)
    assert gpugrad.ones(1).dtype is gpugrad.float32


def _pair(lib: Any) -> tuple[Any, Any]:
    return values(lib, 4, 3), values(lib, 4, 3, seed=1).sigmoid()


TOP_LEVEL: list[Callable[[Any], Any]] = [
    lambda t: t.embedding(values(t, 5, 2), t.tensor([3, 0, 3])),
    lambda t: t.dropout(values(t, 4, 3), 0.5, False),
    lambda t: t.alpha_dropout(values(t, 4, 3), 0.5, False),
    lambda t: t.feature_alpha_dropout(values(t, 4, 3), 0.5, False),
    lambda t: t.batch_norm(values(t, 4, 3), t.ones(3), t.zeros(3), t.zeros(3), t.ones(3), False, 0.1, 1e-5, False),
    lambda t: t.batch_norm(values(t, 4, 3), None, None, None, None, True, 0.1, 1e-5, False),
    lambda t: t.instance_norm(values(t, 2, 3, 4), t.ones(3), None, None, None, True, 0.1, 1e-5, False),
    lambda t: t.layer_norm(values(t, 4, 3), (3,), t.ones(3), None, 1e-5, False),
    lambda t: t.group_norm(values(t, 2, 4, 3), 2, t.ones(4), t.zeros(4)),
    lambda t: t.rrelu(values(t, 4, 3)),
    lambda t: [t.binary_cross_entropy_with_logits(*_pair(t), reduction=r) for r in (0, 1, 2)],
    lambda t: [t.hinge_embedding_loss(values(t, 4), t.tensor([1.0, -1, 1, -1]), 0.5, r) for r in (0, 1, 2)],
    lambda t: [t.kl_div(*_pair(t), r) for r in (0, 1, 2)],
    lambda t: t.kl_div(*_pair(t), log_target=True),
    lambda t: t.binary_cross_entropy_with_logits(*_pair(t)),
    lambda t: [t.poisson_nll_loss(*_pair(t), True, False, 1e-8, r) for r in (0, 1, 2)],
    lambda t: t.cosine_embedding_loss(*_pair(t), t.tensor([1, -1, 1, -1]), 0.1),
    lambda t: t.margin_ranking_loss(values(t, 4), values(t, 4, seed=1), t.tensor([1.0, -1, 1, -1]), 0.1, 2),
    lambda t: t.triplet_margin_loss(*_pair(t), values(t, 4, 3, seed=2)),
    lambda t: t.selu_(values(t, 3)),
    lambda t: t.celu_(values(t, 3), 0.5),
    lambda t: t.threshold_(values(t, 3), 0.1, 20),
    lambda t: t.rrelu_(values(t, 3)),
    lambda t: t.dropout_(values(t, 3), 0.5, False),
    lambda t: t.clamp_(values(t, 3), min=0),
    lambda t: t.detach(values(t, 3, requires_grad=True)).requires_grad,
    lambda t: t.get_device(t.ones(2)),
    lambda t: [t.is_complex(t.ones(2)), t.is_signed(t.ones(2)), t.is_signed(t.ones(2, dtype=t.uint8))],
    lambda t: [t.is_nonzero(t.tensor([0])), t.is_nonzero(t.tensor(2.5)), t.is_storage(t.ones(1))],
    lambda t: t.is_nonzero(t.ones(2)),
    lambda t: t.is_nonzero(t.ones(0)),
    lambda t: [t.is_same_size(t.ones(2), t.ones(2)), t.is_same_size(t.ones(2), t.ones(2, 1))],
]


@pytest.mark.parametrize("case", TOP_LEVEL, ids=range(len(TOP_LEVEL)))
def test_top_level_functions(torch: ModuleType, case: Callable[[Any], Any]) -> None:
    results = []
    for library in (gpugrad, torch):
        try:
            results.append(case(library))
        except RuntimeError as error:
            results.append(str(error))
    ours, theirs = ([r] if not isinstance(r, list) else r for r in results)
    for a, b in zip(ours, theirs, strict=True):
        if isinstance(b, torch.Tensor):
            np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-5, 1e-6)
            assert str(a.dtype) == str(b.dtype).replace("torch", "gpugrad")
        else:
            assert a == b


def test_functions_in_place_write_to_their_argument() -> None:
    for name in ("sin_", "relu_", "zero_", "selu_", "round_"):
        x = gpugrad.full((3,), 0.25)
        assert getattr(gpugrad, name)(x) is x, name
