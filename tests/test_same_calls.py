"""Calls in every form that PyTorch takes them in: the same text gives the same here."""

from __future__ import annotations

import importlib
import math
from types import ModuleType
from typing import Any

import pytest
from nn_pair import Case, assert_same


def x(lib: Any) -> Any:
    return lib.arange(6.0).view(2, 3) - 2


def index(lib: Any) -> Any:
    return lib.tensor([[0, 1, 2], [2, 1, 0]])


def data(lib: Any) -> Any:
    return importlib.import_module(f"{lib.__name__}.utils.data")


def Count(lib: Any) -> Any:
    class Counting(data(lib).IterableDataset):
        def __init__(self, n: int) -> None:
            self.n = n

        def __iter__(self) -> Any:
            return iter(range(self.n))

    return Counting


def normalized(lib: Any, layer: Any, shape: Any = (2, 3), **options: Any) -> Any:
    """Outputs, gradients and state of a spectrally normalized layer, in training and not, and when it is so no longer."""
    lib.manual_seed(0)
    m = lib.nn.utils.spectral_norm(layer(lib.nn), **options)
    t = lib.linspace(-1, 1, math.prod(shape)).view(shape).requires_grad_()
    first, second, third = m(t), m(t), m.eval()(t)
    ((first + second * 2).pow(2).sum() + third.sum()).backward()
    tensors = [first, third, t.grad, m.weight_orig.grad, *m.state_dict().values()]
    names = list(m.state_dict()), isinstance(lib.nn.utils.remove_spectral_norm(m).weight, lib.nn.Parameter)
    return [x.detach().double().round(decimals=4) for x in (*tensors, m.weight)], names


def swa(lib: Any) -> Any:
    return importlib.import_module(f"{lib.__name__}.optim.swa_utils")


def averaged(lib: Any, **function: Any) -> Any:
    """The averages of three states of a model with statistics, and the statistics over its averaged weights."""
    lib.manual_seed(0)
    model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.BatchNorm1d(3))
    chosen = {("multi_avg_fn" if "multi" in n else "avg_fn"): getattr(swa(lib), n)(*a) for n, a in function.items()}
    mean = swa(lib).AveragedModel(model, **chosen)
    for k in range(3):
        with lib.no_grad():
            model[0].weight.add_(k)
        mean.update_parameters(model)
    swa(lib).update_bn([x(lib).t(), [x(lib).t() * 2, 1]], mean)
    return [t.double().round(decimals=3) for t in mean.state_dict().values()], mean.training, mean.module[1].momentum


def swa_rates(lib: Any, **options: Any) -> Any:
    optimizer = lib.optim.SGD([lib.ones(1, requires_grad=True)], lr=1.0)
    schedule, rates = swa(lib).SWALR(optimizer, 0.1, **options), []
    for _ in range(6):
        optimizer.step()
        schedule.step()
        rates.append(round(schedule.get_last_lr()[0], 6))
    return rates


CALLS: list[Case] = [
    lambda lib: lib.arange(end=5),
    lambda lib: lib.arange(start=1, end=5, step=2),
    lambda lib: lib.nn.functional.hardshrink(x(lib), 1.5),
    lambda lib: lib.hardshrink(x(lib), lambd=1.5),
    lambda lib: lib.hardshrink(x(lib), 1.5),
    lambda lib: lib.celu(x(lib), 0.5).round(decimals=4),
    lambda lib: lib.threshold(x(lib), 1, -7),
    lambda lib: lib.diag(x(lib), out=lib.zeros(2)),
    lambda lib: lib.diag(lib.ones(2), 1, out=lib.zeros(3, 3)),
    lambda lib: lib.zeros_like(x(lib), memory_format=lib.preserve_format),
    lambda lib: lib.rand_like(x(lib), layout=lib.strided, memory_format=lib.preserve_format).shape,
    lambda lib: lib.randn_like(x(lib), memory_format=lib.contiguous_format).shape,
    lambda lib: lib.randint_like(x(lib), 3, layout=lib.strided).shape,
    lambda lib: x(lib).clone(memory_format=lib.contiguous_format),
    lambda lib: x(lib).t().contiguous(memory_format=lib.contiguous_format).stride(),
    lambda lib: x(lib).t().is_contiguous(memory_format=lib.contiguous_format),
    lambda lib: [str(lib.preserve_format), isinstance(lib.preserve_format, lib.memory_format)],
    lambda lib: [str(x(lib).layout), x(lib).layout is lib.strided, isinstance(lib.strided, lib.layout)],
    lambda lib: x(lib)[:, lib.newaxis].shape,
    lambda lib: x(lib).new_zeros(size=(2,)),
    lambda lib: x(lib).new_ones(size=(2, 1), dtype=lib.int64),
    lambda lib: x(lib).new_empty(size=(2, 1)).shape,
    lambda lib: x(lib).expand(size=(2, 2, 3)),
    lambda lib: x(lib).reshape(shape=(3, 2)),
    lambda lib: x(lib).repeat(repeats=(2, 1)),
    lambda lib: x(lib).permute(dims=(1, 0)),
    lambda lib: lib.cat([x(lib), x(lib)], axis=1),
    lambda lib: lib.concat([x(lib), x(lib)], axis=-1),
    lambda lib: lib.stack([x(lib), x(lib)], axis=1),
    lambda lib: lib.linalg.norm(input=x(lib)),
    lambda lib: lib.linalg.matrix_norm(input=x(lib), ord="nuc").round(decimals=4),
    lambda lib: lib.randint(high=5, size=(3,)).shape,
    lambda lib: lib.randint(5, size=(3,)).shape,
    lambda lib: lib.randint(3, 4, size=(3,)),
    lambda lib: lib.nn.functional.cosine_similarity(x(lib)[None].expand(3, 2, 3), x(lib)).tolist()[0][0] > 0.99,
    lambda lib: lib.nn.functional.cosine_similarity(x(lib), lib.ones(3), dim=0).round(decimals=5),
    lambda lib: lib.nn.functional.cosine_similarity(x(lib).half(), lib.ones(2, 3, dtype=lib.bool)).dtype,
    lambda lib: lib.tensor([1, 2], dtype=lib.uint8) + -1,
    lambda lib: lib.tensor([1, 2], dtype=lib.uint8) * -1,
    lambda lib: -1 - lib.tensor([1, 2], dtype=lib.uint8),
    lambda lib: lib.tensor([1, 255], dtype=lib.uint8).clamp(-1, 3),
    lambda lib: lib.tensor([100, 2], dtype=lib.int8) + 200,
    lambda lib: lib.tensor([1, 2], dtype=lib.uint8).mul_(-1),
    lambda lib: lib.tensor([1, 2], dtype=lib.uint8) == 257,
    lambda lib: lib.matrix_exp(lib.zeros(2, 2)),
    lambda lib: isinstance(lib.nn.BatchNorm2d(1), lib.nn.modules.batchnorm._BatchNorm),
    lambda lib: isinstance(lib.nn.InstanceNorm2d(1), lib.nn.modules.batchnorm._BatchNorm),
    lambda lib: isinstance(lib.nn.InstanceNorm2d(1), lib.nn.modules.batchnorm._NormBase),
    lambda lib: isinstance(lib.nn.ConvTranspose2d(1, 1, 1), lib.nn.modules.conv._ConvNd),
    lambda lib: isinstance(lib.nn.TripletMarginLoss(), lib.nn.modules.loss._Loss),
    lambda lib: isinstance(lib.nn.Dropout(), lib.nn.modules.dropout._DropoutNd),
    lambda lib: lib.nn.modules.Linear is lib.nn.modules.linear.Linear is lib.nn.Linear,
    lambda lib: importlib.import_module(f"{lib.__name__}.nn.modules.module").Module is lib.nn.Module,
    lambda lib: issubclass(lib.optim.lr_scheduler._LRScheduler, lib.optim.lr_scheduler.LRScheduler),
    lambda lib: len(list(lib.nn.Sequential(*[lib.nn.ReLU()] * 2).modules(remove_duplicate=False))),
    lambda lib: list(data(lib).ChainDataset([Count(lib)(2), Count(lib)(3)])),
    lambda lib: data(lib).StackDataset(a=[1, 2], b=[3, 4])[1],
    lambda lib: (data(lib).StackDataset([1, 2], [3, 4])[0], len(data(lib).StackDataset([1, 2]))),
    lambda lib: normalized(lib, lambda nn: nn.Linear(3, 4)),
    lambda lib: normalized(lib, lambda nn: nn.ConvTranspose2d(3, 2, 1), (1, 3, 2, 2), n_power_iterations=2),
    lambda lib: normalized(lib, lambda nn: nn.Linear(3, 4), n_power_iterations=0),
    lambda lib: averaged(lib),
    lambda lib: averaged(lib, get_ema_multi_avg_fn=(0.9,)),
    lambda lib: averaged(lib, get_ema_avg_fn=(0.9,)),
    lambda lib: averaged(lib, get_swa_avg_fn=()),
    lambda lib: swa_rates(lib, anneal_epochs=3),
    lambda lib: swa_rates(lib, anneal_epochs=4, anneal_strategy="linear"),
    lambda lib: swa_rates(lib, anneal_epochs=0),
]


@pytest.mark.parametrize("case", CALLS, ids=range(len(CALLS)))
def test_a_call_gives_what_it_gives_in_torch(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)


@pytest.mark.filterwarnings("ignore:size_average and reduce args")
@pytest.mark.parametrize("reduced", [(0,), (1,), (None, 0), (False, True)])
def test_deprecated_reductions_may_be_numbers(torch: ModuleType, reduced: Any) -> None:
    assert_same(lambda lib: lib.nn.functional.smooth_l1_loss(x(lib), 3 * x(lib), *reduced), torch)
    assert_same(lambda lib: lib.nn.MSELoss(*reduced)(x(lib), 3 * x(lib)), torch)
