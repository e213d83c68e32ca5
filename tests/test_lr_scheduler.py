"""Learning-rate schedules: values against PyTorch's step by step, and what holds without it."""

from __future__ import annotations

import math
import pickle
import warnings

import pytest
from device_tools import each_device

import gpugrad
from gpugrad import optim
from gpugrad.optim import lr_scheduler

CASES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 9], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.01}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 0.9**epoch, lambda epoch: 1 / (1 + epoch)]}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 1 - 0.01 * epoch}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.5, "end_factor": 0.1, "total_iters": 4}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 3}),
    ("PolynomialLR", {"total_iters": 7, "power": 2.0}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 20}),
    ("OneCycleLR", {"max_lr": [0.5, 1.0], "epochs": 5, "steps_per_epoch": 4, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 20, "three_phase": True, "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 20, "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3}),
    ("CyclicLR", {"base_lr": [0.1, 0.2], "max_lr": 0.5, "step_size_up": 2, "step_size_down": 4, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9}),
    (
        "CyclicLR",
        {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3, "scale_fn": lambda x: 1 / x, "cycle_momentum": False},
    ),
    ("CosineAnnealingWarmRestarts", {"T_0": 3}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2, "eta_min": 0.01}),
]
JUMPS = [case for case in CASES if case[0] not in ("MultiplicativeLR", "OneCycleLR", "CyclicLR")]


def optimizer_of(module, name: str = "SGD"):
    params = [module.tensor([1.0], requires_grad=True) for _ in range(2)]
    options = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(module.optim, name)([{"params": params[:1]}, {"params": params[1:], "lr": 0.4}], lr=0.1, **options)


def settings(optimizer) -> list:
    return [
        {key: value for key, value in group.items() if key in ("lr", "momentum", "betas", "initial_lr")}
        for group in optimizer.param_groups
    ]


def close(a, b) -> bool:
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-15)


@each_device
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_values_of_pytorch(torch, name, options, optimizer):
    pairs = []
    for module in (gpugrad, torch):
        made = optimizer_of(module, optimizer)
        pairs.append((made, getattr(module.optim.lr_scheduler, name)(made, **options)))
    for _ in range(20):
        assert close(settings(pairs[0][0]), settings(pairs[1][0]))
        assert close(pairs[0][1].get_last_lr(), pairs[1][1].get_last_lr())
        for made, scheduler in pairs:
            made.step()
            scheduler.step()


@pytest.mark.parametrize(("name", "options"), JUMPS)
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_jumps_of_pytorch(torch, name, options):
    pairs = []
    for module in (gpugrad, torch):
        made = optimizer_of(module)
        pairs.append((made, getattr(module.optim.lr_scheduler, name)(made, **options)))
    for epoch in (2, 9, 0, 4, None, 7):
        for made, scheduler in pairs:
            made.step()
            scheduler.step(epoch)
        assert close(settings(pairs[0][0]), settings(pairs[1][0]))


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"mode": "max", "factor": 0.5, "patience": 1, "cooldown": 2, "threshold": 0.1},
        {"patience": 0, "threshold_mode": "abs", "threshold": 0.5, "min_lr": [0.01, 0.2]},
        {"mode": "max", "threshold_mode": "abs", "patience": 0, "eps": 0.05},
    ],
)
def test_plateaus_of_pytorch(torch, options):
    pairs = []
    for module in (gpugrad, torch):
        made = optimizer_of(module)
        pairs.append((made, module.optim.lr_scheduler.ReduceLROnPlateau(made, **options), module))
    for metric in (1.0, 0.9, 0.95, 0.93, 0.92, 0.91, 1.0, 2.0, 3.0, float("nan"), 0.1, 0.1, 0.1, 0.1, 0.1, 0.09):
        for made, scheduler, module in pairs:
            made.step()
            scheduler.step(module.tensor(metric, dtype=module.float64))
        assert close(settings(pairs[0][0]), settings(pairs[1][0]))
        assert pairs[0][1].num_bad_epochs == pairs[1][1].num_bad_epochs


def combined(module, optimizer, kind: str):
    schedules = module.optim.lr_scheduler
    if kind == "chained":
        return schedules.ChainedScheduler(
            [schedules.ConstantLR(optimizer, 0.1, 2), schedules.ExponentialLR(optimizer, 0.9)]
        )
    last = schedules.CosineAnnealingLR(optimizer, 6)
    if kind == "nested":
        last = schedules.SequentialLR(optimizer, [last, schedules.StepLR(optimizer, 1)], milestones=[3])
    return schedules.SequentialLR(
        optimizer,
        [schedules.LinearLR(optimizer, 0.1, total_iters=4), schedules.ExponentialLR(optimizer, 0.5), last],
        milestones=[4, 7],
    )


@pytest.mark.parametrize("kind", ["chained", "sequential"])
def test_combinations_of_pytorch(torch, kind):
    optimizers = [optimizer_of(gpugrad), optimizer_of(torch)]
    schedulers = [combined(gpugrad, optimizers[0], kind), combined(torch, optimizers[1], kind)]
    for _ in range(15):
        assert close(settings(optimizers[0]), settings(optimizers[1]))
        assert close(schedulers[0].get_last_lr(), schedulers[1].get_last_lr())
        for optimizer, scheduler in zip(optimizers, schedulers):
            optimizer.step()
            scheduler.step()


@pytest.mark.parametrize(("name", "options"), [*CASES, ("chained", {}), ("sequential", {})])
def test_saved_and_loaded_goes_on_the_same(name, options):
    def make():
        optimizer = optimizer_of(gpugrad)
        if options:
            return optimizer, getattr(lr_scheduler, name)(optimizer, **options)
        return optimizer, combined(gpugrad, optimizer, name)

    optimizer, scheduler = make()
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    fresh, other = make()
    saved = pickle.loads(pickle.dumps((optimizer.state_dict(), scheduler.state_dict())))
    other.load_state_dict(saved[1])
    fresh.load_state_dict(saved[0])
    assert other.get_last_lr() == scheduler.get_last_lr()
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        fresh.step()
        other.step()
        assert settings(fresh) == settings(optimizer)


def test_values_by_hand():
    optimizer = optimizer_of(gpugrad)
    scheduler = lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    seen = []
    for _ in range(5):
        seen.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert seen == [0.1, 0.1, 0.05, 0.05, 0.025]
    assert optimizer.param_groups[1]["initial_lr"] == 0.4


def test_resuming_needs_the_initial_learning_rate():
    optimizer = optimizer_of(gpugrad)
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(optimizer, 2, last_epoch=3)
    lr_scheduler.ExponentialLR(optimizer, 0.5)
    resumed = lr_scheduler.LambdaLR(optimizer, lambda epoch: epoch, last_epoch=3)
    assert resumed.last_epoch == 4
    assert optimizer.param_groups[1]["lr"] == 1.6


def test_a_tensor_keeps_its_identity():
    p = gpugrad.tensor([1.0], requires_grad=True)
    lr = gpugrad.tensor(0.5)
    optimizer = optim.SGD([p], lr=lr)
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == 0.25
    assert scheduler.get_last_lr()[0].item() == 0.25


def test_warnings():
    optimizer = optimizer_of(gpugrad)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def sequential(milestones, count=2, foreign=False):
    optimizer = optimizer_of(gpugrad)
    schedulers = [lr_scheduler.StepLR(optimizer_of(gpugrad) if foreign else optimizer, 1) for _ in range(count)]
    return lr_scheduler.SequentialLR(optimizer, schedulers, milestones)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda o: lr_scheduler.StepLR(3, 1), TypeError, "int is not an Optimizer"),
        (lambda o: lr_scheduler.LambdaLR(o, [lambda e: e]), ValueError, "Expected 2 lr_lambdas, but got 1"),
        (lambda o: lr_scheduler.MultiplicativeLR(o, 3), TypeError, "lr_lambda should be a function, but got int"),
        (lambda o: lr_scheduler.ConstantLR(o, 2), ValueError, "between 0 and 1"),
        (lambda o: lr_scheduler.LinearLR(o, 0), ValueError, "greater than 0"),
        (lambda o: lr_scheduler.LinearLR(o, end_factor=2), ValueError, "between 0 and 1"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ValueError, "positive integer T_0"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 1, 0), ValueError, "T_mult >= 1"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0), ValueError, "either total_steps OR"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 0), ValueError, "positive integer total_steps"),
        (lambda o: lr_scheduler.OneCycleLR(o, [1.0], 5), ValueError, "max_lr must have the same length"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 5, pct_start=2.0), ValueError, "pct_start"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 5, anneal_strategy="x"), ValueError, "anneal_strategy"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1), ValueError, "Factor should be < 1.0"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="up"), ValueError, "mode up is unknown"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="up"), ValueError, "threshold mode up"),
        (lambda o: sequential([1, 2]), ValueError, "one more than the number of milestone points"),
        (lambda o: sequential([], 0), ValueError, "at least one scheduler"),
        (lambda o: sequential([1], foreign=True), ValueError, "same optimizer"),
        (lambda o: lr_scheduler.ChainedScheduler([]), ValueError, "at least one scheduler"),
    ],
)
def test_errors(make, error, match):
    with pytest.raises(error, match=match):
        make(optimizer_of(gpugrad))


def test_one_cycle_past_its_end():
    optimizer = optimizer_of(gpugrad)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=2)
    optimizer.step()
    scheduler.step()
    scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 3 times"):
        scheduler.step()
