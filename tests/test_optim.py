"""Optimizers: numbers against PyTorch's, and what holds without it."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from device_tools import cpu_only, each_device

import gpugrad
from gpugrad import optim
from gpugrad.core import Tensor
from gpugrad.ops.update_blocks import BLOCK, SMALL

pytestmark = each_device

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.0}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "amsgrad": True, "weight_decay": 0.3, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.5, "maximize": True}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.02, "maximize": True}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (0.05, 0.3), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 5, "weight_decay": 0.1, "maximize": True}),
]
SHAPES = [(8, 4), (4,), (), (3, 0), (40, 200), (5,)]  # small ones, an empty one, one too large to go with the others
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]


def values(seed: int, dtype: type = np.float32) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape).astype(dtype) for shape in SHAPES]


def leaves(arrays: list[np.ndarray]) -> list[Tensor]:
    return [gpugrad.tensor(array, requires_grad=True) for array in arrays]


def ones(*sizes: int) -> list[np.ndarray]:
    return [np.ones(size, np.float32) for size in sizes]


def set_grads(params: list, arrays: list[np.ndarray], module: object = gpugrad) -> None:
    for p, array in zip(params, arrays):
        p.grad = module.tensor(array)


def train(name: str, options: dict, steps: int = 20) -> list[Tensor]:
    params = leaves(values(0))
    optimizer = getattr(optim, name)(params, **options)
    for step in range(steps):
        set_grads(params, values(step + 1))
        optimizer.step()
    return params


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_pytorch(torch, name, options, dtype):
    """Parameters and state over 20 steps, a parameter without gradient at some of them."""
    ours = leaves(values(0, dtype))
    theirs = [torch.tensor(array, requires_grad=True) for array in values(0, dtype)]
    optimizers = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(20):
        grads = values(step + 1, dtype)
        set_grads(ours, grads)
        set_grads(theirs, grads, torch)
        if step in (0, 7):
            ours[1].grad = theirs[1].grad = None
        for optimizer in optimizers:
            optimizer.step()
    tolerance = {"rtol": 1e-6, "atol": 2e-6} if dtype is np.float32 else {"rtol": 1e-12, "atol": 1e-13}
    for mine, other in zip(ours, theirs):
        np.testing.assert_allclose(mine.detach().cpu().numpy(), other.detach().cpu().numpy(), **tolerance)
    mine, other = (optimizer.state_dict() for optimizer in optimizers)
    assert mine["param_groups"] == other["param_groups"]
    assert list(mine["param_groups"][0]) == list(other["param_groups"][0])
    assert mine["state"].keys() == other["state"].keys()
    for key, state in other["state"].items():
        assert set(mine["state"][key]) == set(state)
        for what, value in state.items():
            size = 1 + np.abs(value.cpu().numpy()).max(initial=0)  # rounding follows the largest terms of a sum
            np.testing.assert_allclose(
                mine["state"][key][what].cpu().numpy(), value.cpu().numpy(), rtol=1e-6, atol=1e-6 * size
            )
    assert repr(optimizers[0]) == repr(optimizers[1])


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_together_alone_and_in_blocks_agree(name, options):
    """The same numbers whether a parameter is updated with others, alone, as rows of a transpose, or in blocks."""
    shape = (3, 40)
    start, other = np.random.default_rng(1).standard_normal((2, *shape)).astype(np.float32)
    grads = np.random.default_rng(2).standard_normal((4, *shape)).astype(np.float32)
    repeat = SMALL // 40
    together = leaves([start, other])
    transposed = gpugrad.tensor(start.T.copy()).t().detach().requires_grad_()
    assert not transposed.is_contiguous()
    large = leaves([np.tile(start, (1, repeat))])[0]
    assert large.numel() > SMALL
    results = []
    for params, times in ((together, 1), ([transposed], 1), ([large], repeat)):
        optimizer = getattr(optim, name)(params, **options)
        for grad in grads:
            set_grads(params, [np.tile(grad, (1, times))] * len(params))
            optimizer.step()
        results.append(params[0].detach().cpu().numpy())
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(results[2], np.tile(results[0], (1, repeat)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_saved_and_loaded_goes_on_the_same(name, options):
    through = train(name, options, 6)
    params = leaves(values(0))
    optimizer = getattr(optim, name)(params, **options)
    for step in range(3):
        set_grads(params, values(step + 1))
        optimizer.step()
    saved = pickle.loads(pickle.dumps(optimizer.state_dict()))
    copies = leaves([p.detach().cpu().numpy() for p in params])
    fresh = getattr(optim, name)(copies)
    fresh.load_state_dict(saved)
    for step in range(3, 6):
        set_grads(copies, values(step + 1))
        fresh.step()
    for a, b in zip(copies, through):
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), rtol=1e-6, atol=1e-7)


def test_first_steps_by_hand():
    p = gpugrad.tensor([1.0, -2.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5)
    p.grad = gpugrad.tensor([1.0, 4.0])
    optimizer.step()
    assert p.tolist() == [0.5, -4.0]
    optimizer.step()
    assert p.tolist() == [-0.25, -7.0]
    q = gpugrad.tensor([1.0, -2.0], requires_grad=True)
    adam = optim.Adam([q], lr=0.25)
    q.grad = gpugrad.tensor([3.0, -0.1])
    adam.step()
    np.testing.assert_allclose(q.detach().cpu().numpy(), [0.75, -1.75], rtol=1e-6)  # the first step is lr * sign(grad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("size", [10, SMALL + 1])
def test_half_precision_rounds_once(dtype, size):
    start, grads = np.linspace(-1, 1, size, dtype=np.float32), np.cos(np.arange(size, dtype=np.float32))
    wide = gpugrad.tensor(start).to(getattr(gpugrad, dtype)).float().requires_grad_()
    half = wide.detach().to(getattr(gpugrad, dtype)).requires_grad_()
    other = half.detach().clone().requires_grad_()  # so that there are two to go together
    wide.grad = gpugrad.tensor(grads).to(half.dtype).float()
    half.grad = other.grad = gpugrad.tensor(grads).to(half.dtype)
    optim.AdamW([wide], lr=0.1).step()
    optim.AdamW([half, other], lr=0.1).step()
    assert half.dtype == getattr(gpugrad, dtype)
    assert half.tolist() == other.tolist() == wide.detach().to(half.dtype).tolist()


def test_a_tensor_as_learning_rate():
    p, q = (gpugrad.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    p.grad = q.grad = gpugrad.tensor([0.5, 0.25])
    optim.Adam([p], lr=gpugrad.tensor(0.25)).step()
    optim.Adam([q], lr=0.25).step()
    assert p.tolist() == q.tolist()
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        optim.SGD([p], lr=gpugrad.tensor([0.1, 0.2]))


def test_a_step_is_a_write_that_backward_notices():
    p = gpugrad.tensor([1.0, 2.0], requires_grad=True)
    loss = (p * p).sum()
    p.grad = gpugrad.tensor([1.0, 1.0])
    optim.SGD([p], lr=0.1).step()
    assert p._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_groups_and_their_options():
    a, b = leaves(ones(2, 2))
    optimizer = optim.SGD([{"params": a}, {"params": [b], "lr": 1.0}], lr=0.5)
    set_grads([a, b], ones(2, 2))
    optimizer.step()
    assert (a.tolist(), b.tolist()) == ([0.5, 0.5], [0.0, 0.0])
    c = gpugrad.tensor([1.0], requires_grad=True)
    optimizer.add_param_group({"params": [c], "momentum": 0.9})
    assert optimizer.param_groups[2]["lr"] == 0.5
    optimizer.param_groups[0]["lr"] = 0.0
    c.grad = gpugrad.tensor([1.0])
    optimizer.step()
    assert (a.tolist(), c.tolist()) == ([0.5, 0.5], [0.5])


def test_parameters_replaced_or_moved_between_steps():
    a, b = leaves(ones(2, 3))
    optimizer = optim.Adam([a, b], lr=0.5)
    set_grads([a, b], ones(2, 3))
    optimizer.step()
    a.data = gpugrad.tensor([5.0, 5.0])
    optimizer.step()
    np.testing.assert_allclose(a.detach().cpu().numpy(), [4.5, 4.5], rtol=1e-5)
    np.testing.assert_allclose(b.detach().cpu().numpy(), [0, 0, 0], atol=1e-5)


def test_zero_grad():
    p, q = leaves(ones(2, 2))
    optimizer = optim.SGD([p, q])
    p.grad = gpugrad.tensor([1.0, 2.0])
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0, 0.0]
    assert q.grad is None
    optimizer.zero_grad()
    assert p.grad is None


def test_closure_runs_with_gradients_on():
    p = gpugrad.tensor([3.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with gpugrad.no_grad():
        assert optimizer.step(closure).item() == 9.0
    np.testing.assert_allclose(p.item(), 2.4, rtol=1e-6)


def test_hooks():
    p = gpugrad.tensor([3.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)
    seen = []
    handles = [
        optimizer.register_step_pre_hook(lambda *given: seen.append(("before", *given))),
        optimizer.register_step_post_hook(lambda *given: seen.append(("after", *given))),
        optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1}),
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("second")),
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True),
    ]
    optimizer.step()
    assert seen == [("before", optimizer, (), {}), ("after", optimizer, (), {})]
    assert optimizer.state_dict()["more"] == 1
    assert seen[2:] == ["first", "second"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert "more" not in optimizer.state_dict()
    assert len(seen) == 4
    optimizer.register_step_pre_hook(lambda *given: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()


def test_an_optimizer_of_ones_own():
    class Plain(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with gpugrad.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(p.grad, alpha=group["lr"])

    p = gpugrad.tensor([3.0], requires_grad=True)
    optimizer = Plain([p], 0.5)
    p.grad = gpugrad.tensor([2.0])
    called = []
    optimizer.register_step_post_hook(lambda *given: called.append(1))
    optimizer.step()
    assert p.item() == 2.0
    assert called == [1]


def test_copies_work_alone():
    p = gpugrad.tensor([1.0, 1.0], requires_grad=True)
    optimizer = optim.Adam([p], lr=0.5)
    p.grad = gpugrad.tensor([1.0, 1.0])
    optimizer.step()
    other = copy.deepcopy(optimizer)
    q = other.param_groups[0]["params"][0]
    q.grad = gpugrad.tensor([1.0, 1.0])
    other.step()
    np.testing.assert_allclose(p.detach().cpu().numpy(), [0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(q.detach().cpu().numpy(), [0.0, 0.0], atol=1e-5)
    assert optimizer.state[p]["step"].item() == 1


def test_loading_follows_the_parameters_dtype_and_copies():
    p = gpugrad.tensor([1.0, 1.0], requires_grad=True)
    optimizer = optim.Adam([p])
    p.grad = gpugrad.tensor([1.0, 1.0])
    optimizer.step()
    wide = gpugrad.tensor([1.0, 1.0], dtype=gpugrad.float64, requires_grad=True)
    other = optim.Adam([wide])
    other.load_state_dict(optimizer.state_dict())
    assert other.state[wide]["exp_avg"].dtype == gpugrad.float64
    assert other.state[wide]["step"].dtype == gpugrad.float32
    other.state[wide]["step"].zero_()
    assert optimizer.state[p]["step"].item() == 1


def test_loading_what_does_not_fit_changes_nothing():
    a, b = leaves(ones(2, 2))
    optimizer = optim.SGD([a], lr=0.5)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(optim.SGD([{"params": [a]}, {"params": [b]}]).state_dict())
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        optimizer.load_state_dict(optim.SGD([a, b]).state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_named_parameters():
    a, b = leaves(ones(2, 2))
    optimizer = optim.SGD([("first", a), ("second", b)])
    assert optimizer.param_groups[0]["param_names"] == ["first", "second"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["first", "second"]
    with pytest.raises(ValueError, match="with/without names"):
        optimizer.add_param_group({"params": [gpugrad.tensor(1.0, requires_grad=True)]})
    with pytest.raises(ValueError, match="Some param names are missing"):
        optim.SGD([("first", a), b])
    assert len(optimizer.param_groups) == 1


def leaf() -> Tensor:
    return gpugrad.tensor([1.0], requires_grad=True)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: optim.SGD([]), ValueError, "optimizer got an empty parameter list"),
        (lambda: optim.SGD(leaf()), TypeError, "should be an iterable of Tensors or dicts, but got gpugrad"),
        (lambda: optim.SGD([1.0]), TypeError, "one of the params is float"),
        (lambda: optim.SGD([{"params": {leaf()}}]), TypeError, "ordered collections"),
        (lambda: optim.SGD([leaf() * 2]), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda: optim.SGD([leaf()], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.SGD([leaf()], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda: optim.SGD([leaf()], nesterov=True), ValueError, "Nesterov momentum requires a momentum"),
        (lambda: optim.Adam([leaf()], betas=(0.9, 1.0)), ValueError, "Invalid beta parameter at index 1: 1.0"),
        (lambda: optim.Adam([leaf()], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: optim.AdamW([leaf()], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
        (lambda: optim.Adadelta([leaf()], rho=2), ValueError, "Invalid rho value: 2"),
        (lambda: optim.SGD([leaf()], fused=True, foreach=True), RuntimeError, "cannot be `True` together"),
        (lambda: optim.SGD([leaf()], differentiable=True), NotImplementedError, "not recorded"),
        (lambda: optim.SGD([leaf()]).add_param_group([leaf()]), TypeError, "param_group must be a dict"),
    ],
)
def test_errors(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_a_parameter_twice():
    p = leaf()
    with pytest.raises(ValueError, match="appear in more than one parameter group"):
        optim.SGD([{"params": [p]}, {"params": [p]}])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p])


@cpu_only
def test_a_read_only_parameter_is_refused_before_anything_is_written():
    a = gpugrad.tensor([1.0, 1.0], requires_grad=True)
    b = gpugrad.tensor([1.0]).expand(3).detach().requires_grad_()
    set_grads([a, b], ones(2, 3))
    optimizer = optim.SGD([a, b], lr=0.5)
    if b._array.flags.writeable:
        pytest.skip("expand gives writeable memory here")
    with pytest.raises(RuntimeError, match="read-only"):
        optimizer.step()
    assert a.tolist() == [1.0, 1.0]


def test_numpy_warnings_stay_inside():
    p, q = leaves([np.float32([1e30, 1.0]), np.ones(BLOCK, np.float32)])
    set_grads([p, q], [np.float32([1e30, np.nan]), np.full(BLOCK, np.inf, np.float32)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optim.Adam([p, q]).step()
    assert np.isnan(p.detach().cpu().numpy()).tolist() == [False, True]


@pytest.mark.parametrize("turned", [False, True])
def test_a_parameter_of_several_blocks_descends_along_its_own_gradient(turned: bool) -> None:
    """Plain SGD cuts large parameters into blocks; a gradient in another memory order takes the general way."""
    p = gpugrad.nn.Parameter(gpugrad.zeros(300, 500))
    values = gpugrad.arange(150_000.0)
    p.grad = values.reshape(500, 300).T if turned else values.reshape(300, 500)
    expected = -0.5 * p.grad
    optim.SGD([p], lr=0.5).step()
    assert gpugrad.equal(p, expected)
