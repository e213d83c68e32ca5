"""Weight normalization beside PyTorch's."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import pytest
from device_tools import each_device
from nn_pair import assert_same, plain, values
from test_nn_layers import close

import gpugrad

pytestmark = [each_device, pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")]
MODULES = {
    "Linear": (lambda nn: nn.Linear(3, 5), (4, 3)),
    "Conv1d": (lambda nn: nn.Conv1d(2, 3, 3), (2, 2, 6)),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(2, 3, 2), (1, 2, 4, 4)),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dim", [0, 1, None])
def test_output_and_gradients(torch: ModuleType, name: str, dim: int | None) -> None:
    make, shape = MODULES[name]
    results = []
    for library in (gpugrad, torch):
        library.manual_seed(0)
        module = library.nn.utils.weight_norm(make(library.nn), dim=dim)
        state = plain(list(module.state_dict())), [tuple(p.shape) for p in module.parameters()]
        with library.no_grad():
            module.weight_g.mul_(2)
        out = module(values(library, *shape))
        out.backward(values(library, *out.shape, seed=1))
        results.append((state, out, [p.grad for p in module.parameters()]))
        library.nn.utils.remove_weight_norm(module)
        assert sorted(n for n, _ in module.named_parameters()) == ["bias", "weight"]
        close(module(values(library, *shape)), out, "removed")
    assert results[0][0] == results[1][0]
    close(results[0][1], results[1][1], "output")
    for a, b in zip(results[0][2], results[1][2], strict=True):
        close(a, b, "gradient")


def test_copies_and_converts() -> None:
    module = gpugrad.nn.utils.weight_norm(gpugrad.nn.Linear(3, 2))
    x = values(gpugrad, 4, 3)
    module(x)
    expected = module.eval()(x)
    with gpugrad.no_grad():
        module.weight = module.weight.detach()
    close(copy.deepcopy(module)(x), expected, "copy")
    assert module.double()(x.double()).dtype is gpugrad.float64


def test_errors(torch: ModuleType) -> None:
    def twice(lib: Any) -> Any:
        return lib.nn.utils.weight_norm(lib.nn.utils.weight_norm(lib.nn.Linear(2, 2)))

    assert assert_same(twice, torch)[0] == "RuntimeError"
    assert assert_same(lambda lib: lib.nn.utils.remove_weight_norm(lib.nn.Linear(2, 2)), torch)[0] == "ValueError"
