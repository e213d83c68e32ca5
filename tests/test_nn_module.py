"""Modules: attributes, registration, traversal, saved state, conversion, printing."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import cpu_only, each_device
from nn_pair import Case, assert_error, assert_same, values

import gpugrad
from gpugrad import nn

pytestmark = each_device


def net(library: ModuleType) -> Any:
    """A parameter, a buffer, a buffer that is not saved, and two children, one of which stands under two names."""
    module = library.nn.Module()
    module.scale = library.nn.Parameter(library.ones(2))
    module.register_buffer("mean", library.zeros(2))
    module.register_buffer("scratch", library.zeros(1), persistent=False)
    module.first = library.nn.Linear(2, 2, bias=False)
    module.nested = library.nn.Sequential(library.nn.ReLU(), module.first)
    library.nn.init.constant_(module.first.weight, 0.5)
    return module


def assigned(name: str, make: Any) -> Case:
    """The case of assigning `make(library)` to an attribute of `net`, and what the module then holds."""

    def case(library: ModuleType) -> Any:
        module = net(library)
        setattr(module, name, make(library))
        return [list(module._parameters), list(module._buffers), list(module._modules), list(module.state_dict())]

    return case


ASSIGNMENTS = [
    assigned("scale", lambda lib: lib.nn.Parameter(lib.zeros(3))),
    assigned("scale", lambda lib: None),
    assigned("mean", lambda lib: lib.nn.Parameter(lib.zeros(3))),
    assigned("mean", lambda lib: lib.ones(4)),
    assigned("mean", lambda lib: None),
    assigned("scratch", lambda lib: lib.ones(4)),
    assigned("scratch", lambda lib: lib.nn.Buffer(lib.ones(4))),
    assigned("first", lambda lib: lib.nn.Identity()),
    assigned("first", lambda lib: None),
    assigned("first", lambda lib: lib.nn.Parameter(lib.zeros(1))),
    assigned("added", lambda lib: lib.nn.Buffer(lib.ones(1))),
    assigned("added", lambda lib: lib.nn.Buffer(lib.ones(1), persistent=False)),
    assigned("added", lambda lib: lib.ones(1)),
]


@pytest.mark.parametrize("case", ASSIGNMENTS)
def test_assignment_registers(torch: ModuleType, case: Case) -> None:
    assert isinstance(assert_same(case, torch)[0], list)


@pytest.mark.parametrize("name", ["scale", "mean", "scratch", "first", "training"])
def test_deleted_attributes_are_gone(torch: ModuleType, name: str) -> None:
    def case(library: ModuleType) -> Any:
        module = net(library)
        delattr(module, name)
        return hasattr(module, name), list(module.state_dict())

    assert assert_same(case, torch)[0] is False


def uninitialised(library: ModuleType) -> Any:
    """A module whose `__init__` has not been called."""
    return library.nn.Module.__new__(library.nn.Module)


ERRORS: list[tuple[type[Exception], Case]] = [
    (AttributeError, lambda lib: net(lib).missing),
    (AttributeError, lambda lib: delattr(net(lib), "missing")),
    (TypeError, assigned("scale", lambda lib: lib.zeros(2))),
    (TypeError, assigned("scale", lambda lib: 1)),
    (TypeError, assigned("first", lambda lib: "text")),
    (TypeError, assigned("first", lambda lib: lib.zeros(2))),
    (TypeError, assigned("mean", lambda lib: 2.0)),
    (AttributeError, lambda lib: setattr(uninitialised(lib), "p", lib.nn.Parameter(lib.zeros(1)))),
    (AttributeError, lambda lib: setattr(uninitialised(lib), "m", lib.nn.Identity())),
    (AttributeError, lambda lib: uninitialised(lib).register_buffer("b", lib.zeros(1))),
    (AttributeError, lambda lib: uninitialised(lib).register_parameter("p", None)),
    (TypeError, lambda lib: lib.nn.Module(1)),
    (TypeError, lambda lib: lib.nn.Module(size=1)),
    (TypeError, lambda lib: net(lib).register_parameter("p", lib.zeros(1))),
    (TypeError, lambda lib: net(lib).register_parameter("p", 3)),
    (TypeError, lambda lib: net(lib).register_parameter(3, None)),
    (KeyError, lambda lib: net(lib).register_parameter("", None)),
    (KeyError, lambda lib: net(lib).register_parameter("a.b", None)),
    (KeyError, lambda lib: net(lib).register_parameter("mean", None)),
    (KeyError, lambda lib: net(lib).register_parameter("forward", None)),
    (TypeError, lambda lib: net(lib).register_buffer("b", [1.0])),
    (TypeError, lambda lib: net(lib).register_buffer(None, None)),
    (KeyError, lambda lib: net(lib).register_buffer("", None)),
    (KeyError, lambda lib: net(lib).register_buffer("a.b", None)),
    (KeyError, lambda lib: net(lib).register_buffer("scale", None)),
    (TypeError, lambda lib: net(lib).add_module("m", lib.zeros(1))),
    (TypeError, lambda lib: net(lib).add_module("m", 5)),
    (TypeError, lambda lib: net(lib).add_module(5, None)),
    (KeyError, lambda lib: net(lib).add_module("", None)),
    (KeyError, lambda lib: net(lib).add_module("a.b", None)),
    (KeyError, lambda lib: net(lib).add_module("scale", None)),
    (KeyError, lambda lib: net(lib).add_module("training", None)),
    (AttributeError, lambda lib: net(lib).get_submodule("nested.9")),
    (AttributeError, lambda lib: net(lib).get_submodule("scale")),
    (AttributeError, lambda lib: net(lib).get_parameter("nested.1.bias_")),
    (AttributeError, lambda lib: net(lib).get_parameter("mean")),
    (AttributeError, lambda lib: net(lib).get_parameter("other.weight")),
    (AttributeError, lambda lib: net(lib).get_buffer("scale")),
    (AttributeError, lambda lib: net(lib).get_buffer("none")),
    (ValueError, lambda lib: net(lib).train(1)),
    (TypeError, lambda lib: net(lib).to(lib.int64)),
    (NotImplementedError, lambda lib: net(lib)(1)),
]


@pytest.mark.parametrize(("error", "case"), ERRORS)
def test_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    assert_error(case, torch, error)


TRAVERSALS: list[Case] = [
    lambda m: [name for name, _ in m.named_modules()],
    lambda m: [name for name, _ in m.named_modules(prefix="p", remove_duplicate=False)],
    lambda m: list(m.modules()),
    lambda m: [name for name, _ in m.named_children()],
    lambda m: list(m.children()),
    lambda m: list(m.named_parameters()),
    lambda m: list(m.named_parameters(prefix="p", recurse=False)),
    lambda m: list(m.named_parameters(remove_duplicate=False)),
    lambda m: list(m.parameters()),
    lambda m: list(m.named_buffers()),
    lambda m: list(m.buffers(recurse=False)),
    lambda m: m.get_submodule("nested.1"),
    lambda m: m.get_submodule(""),
    lambda m: m.get_parameter("nested.1.weight"),
    lambda m: m.get_buffer("scratch"),
    lambda m: [name for name in ("scale", "mean", "first", "training") if name in dir(m)],
    lambda m: m.state_dict(),
    lambda m: m.state_dict(prefix="p."),
    lambda m: [t.requires_grad for t in m.state_dict(keep_vars=True).values()],
    lambda m: [t.requires_grad for t in m.state_dict().values()],
    lambda m: [m.train(False).training, m.nested[0].training, m.train().nested[0].training, m.eval().training],
    lambda m: [p.requires_grad for p in m.requires_grad_(False).parameters()],
    repr,
]


@pytest.mark.parametrize("look", TRAVERSALS)
def test_traversal(torch: ModuleType, look: Case) -> None:
    assert_same(lambda lib: look(net(lib)), torch)


def test_names_of_other_kinds_are_kept(torch: ModuleType) -> None:
    for name, value, text in [
        ("scale", nn.Linear(1, 1), "'gpugrad.nn.layers.Linear' as parameter 'scale'"),
        ("first", nn.Buffer(gpugrad.ones(1)), r"'gpugrad.(cuda.)?FloatTensor' as child module 'first'"),
    ]:
        module = net(gpugrad)
        with pytest.raises(TypeError, match=text):
            setattr(module, name, value)

    def case(library: ModuleType) -> Any:
        class WithAttribute(library.nn.Module):
            taken = 1

        module = WithAttribute()
        module.taken = 2
        module.taken = library.nn.Parameter(library.ones(1))

    assert_error(case, torch, KeyError)


def test_apply_visits_children_first(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        seen: list[str] = []
        module = net(library)
        assert module.apply(lambda m: seen.append(type(m).__name__)) is module
        return seen

    assert assert_same(case, torch)[-1] == "Module"


def loaded(change: Any, strict: bool = True) -> Case:
    """The case of loading the state of `net`, put through `change`, into a net of ones."""

    def case(library: ModuleType) -> Any:
        state = net(library).state_dict()
        state = change(state, library) or state
        module = net(library)
        for p in module.parameters():
            library.nn.init.ones_(p)
        return module.load_state_dict(state, strict=strict), list(module.parameters())

    return case


def without(*names: str) -> Any:
    return lambda state, library: OrderedDict((k, v) for k, v in state.items() if k not in names)


def extended(state: Any, library: ModuleType) -> None:
    state.update({"first.more": library.ones(1), "other.x": library.ones(1), "scratch": library.ones(1)})


def reshaped(state: Any, library: ModuleType) -> None:
    state.update({"scale": library.ones(3), "first.weight": library.ones(2, 2, 1)})


def everything_wrong(state: Any, library: ModuleType) -> None:
    extended(state, library)
    reshaped(state, library)
    del state["mean"]


LOADS = [
    loaded(without()),
    loaded(without("mean"), strict=False),
    loaded(without("mean", "first.weight", "nested.1.weight"), strict=False),
    loaded(extended, strict=False),
]
BAD_LOADS: list[tuple[type[Exception], Case]] = [
    (RuntimeError, loaded(without("mean"))),
    (RuntimeError, loaded(without("mean", "first.weight"))),
    (RuntimeError, loaded(extended)),
    (RuntimeError, loaded(reshaped)),
    (RuntimeError, loaded(reshaped, strict=False)),
    (RuntimeError, loaded(everything_wrong)),
    (RuntimeError, loaded(lambda state, library: state.update(scale=[1.0, 1.0]))),
    (TypeError, lambda lib: net(lib).load_state_dict([1, 2])),
]


@pytest.mark.parametrize("case", LOADS)
def test_load_state_dict(torch: ModuleType, case: Case) -> None:
    assert isinstance(assert_same(case, torch)[1], list)


@pytest.mark.parametrize(("error", "case"), BAD_LOADS)
def test_load_state_dict_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    assert_error(case, torch, error)


def test_a_refused_state_dict_changes_nothing() -> None:
    module = net(gpugrad)
    state = {name: gpugrad.full(t.shape, 7.0) for name, t in module.state_dict().items()}
    with pytest.raises(RuntimeError, match="Unexpected key"):
        module.load_state_dict({**state, "junk": gpugrad.ones(1)})
    assert module.scale.tolist() == [1, 1]
    assert module.mean.tolist() == [0, 0]


def test_state_dict_shares_memory_and_loading_keeps_the_parameters() -> None:
    module = nn.Linear(2, 2)
    weight, state = module.weight, module.state_dict()
    module.load_state_dict({"weight": gpugrad.ones(2, 2), "bias": gpugrad.zeros(2)})
    assert module.weight is weight
    assert state["weight"].tolist() == [[1, 1], [1, 1]]


def test_assign_takes_the_tensors_of_the_state_dict() -> None:
    module = nn.Linear(2, 2, bias=False).requires_grad_(False)
    given = gpugrad.ones(2, 2, dtype=gpugrad.float64)
    module.load_state_dict({"weight": given}, assign=True)
    assert isinstance(module.weight, nn.Parameter)
    assert module.weight.dtype is gpugrad.float64
    assert not module.weight.requires_grad
    given.fill_(3)
    assert module.weight.tolist() == [[3, 3], [3, 3]]


def test_assign_keeps_parameters_and_refuses_integers() -> None:
    module = nn.Linear(2, 2)
    given = nn.Linear(2, 2).requires_grad_(False)
    module.load_state_dict(dict(given.named_parameters()), assign=True)
    assert module.weight is given.weight
    assert module.weight.requires_grad
    state = {"weight": gpugrad.ones(2, 2), "bias": gpugrad.ones(2, dtype=gpugrad.int64)}
    with pytest.raises(RuntimeError, match="floating point dtype"):
        module.load_state_dict(state, assign=True)
    assert module.weight is given.weight


def test_extra_state(torch: ModuleType) -> None:
    def case(library: ModuleType, keep: bool = True) -> Any:
        class Counter(library.nn.Module):
            count = 0

            def get_extra_state(self) -> Any:
                return {"count": self.count}

            def set_extra_state(self, state: Any) -> None:
                self.count = state["count"]

        saved, fresh = Counter(), library.nn.Sequential(Counter())
        saved.count = 5
        state = library.nn.Sequential(saved).state_dict() if keep else {}
        fresh.load_state_dict(state)
        return list(state), fresh[0].count

    assert assert_same(case, torch) == [["0._extra_state"], 5]
    assert_error(lambda lib: case(lib, keep=False), torch, RuntimeError)
    for call in (nn.Module().get_extra_state, lambda: nn.Module().set_extra_state({})):
        with pytest.raises(RuntimeError, match="the module does not define it"):
            call()


def test_state_dict_hooks(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        seen: list[Any] = []
        module = library.nn.Sequential(library.nn.PReLU())
        module.register_state_dict_pre_hook(lambda m, prefix, keep_vars: seen.append((prefix, keep_vars)))
        module.register_state_dict_post_hook(lambda m, state, prefix, meta: state.update(extra=library.ones(1)))
        module.register_load_state_dict_pre_hook(lambda m, state, *rest: state.pop("extra") and None)
        handle = module.register_load_state_dict_post_hook(lambda m, keys: seen.append(keys.missing_keys))
        state = module.state_dict()
        seen.append(list(state))
        module.load_state_dict(state)
        handle.remove()
        module.load_state_dict(state)
        return seen, list(state)

    assert assert_same(case, torch)[1] == ["0.weight", "extra"]


@pytest.mark.parametrize("convert", ["double", "half", "bfloat16", "float"])
def test_conversion_of_floating_tensors_alone(torch: ModuleType, convert: str) -> None:
    def case(library: ModuleType) -> Any:
        module = library.nn.BatchNorm1d(2)
        return getattr(module, convert)().state_dict()

    assert assert_same(case, torch)[-1][1][1] == "gpugrad.int64"


MOVES: list[Case] = [
    lambda lib, m: m.to(lib.float64),
    lambda lib, m: m.to("cpu"),
    lambda lib, m: m.to("cpu", lib.float16),
    lambda lib, m: m.to(device="cpu", dtype=lib.float64, non_blocking=True),
    lambda lib, m: m.to(lib.device("cpu")),
    lambda lib, m: m.to(lib.ones(1, dtype=lib.float64)),
    lambda lib, m: m.type(lib.float64),
    lambda lib, m: m.cpu(),
    lambda lib, m: m.share_memory(),
]


@pytest.mark.parametrize("move", MOVES)
def test_to(torch: ModuleType, move: Any) -> None:
    def case(library: ModuleType) -> Any:
        module = net(library)
        weight = module.first.weight
        weight.grad = library.ones(2, 2)
        assert move(library, module) is module
        assert module.first.weight is weight
        return module.state_dict(), weight.grad, weight.requires_grad

    assert_same(case, torch)


def test_type_refuses_integer_parameters(torch: ModuleType) -> None:
    assert_error(lambda lib: net(lib).type(lib.int64), torch, RuntimeError)


def test_zero_grad() -> None:
    module = nn.Linear(2, 1)
    module(gpugrad.ones(2)).backward()
    grad = module.weight.grad
    module.zero_grad(set_to_none=False)
    assert module.weight.grad.tolist() == [[0, 0]]
    assert grad.tolist() == [[0, 0]]
    module.zero_grad()
    assert module.weight.grad is None


class Custom(nn.Module):
    """A module of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 3)
        self.b = self.a
        self.note = ["text"]
        self.a.register_forward_hook(double)

    def forward(self, x: Any, *, shift: float = 0.0) -> Any:
        return self.b(x) + shift


def double(module: Any, args: Any, output: Any) -> Any:
    return output * 2


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent_and_complete(copier: Any) -> None:
    module = Custom()
    made = copier(module)
    x = values(gpugrad, 4, 2)
    assert made.a is made.b
    assert made.note == ["text"]
    assert isinstance(made.a.weight, nn.Parameter)
    assert made(x, shift=1.0).tolist() == module(x, shift=1.0).tolist()
    with gpugrad.no_grad():
        made.a.weight.zero_()
    assert np.any(module.a.weight.detach().cpu().numpy() != 0)


@cpu_only
def test_parameter(torch: ModuleType) -> None:
    assert_same(lambda lib: lib.nn.Parameter(lib.ones(2)), torch)
    assert_same(lambda lib: repr(lib.nn.Parameter(lib.ones(2))), torch)
    assert_same(lambda lib: lib.nn.Parameter(lib.ones(2), requires_grad=False).requires_grad, torch)
    assert_same(lambda lib: lib.nn.Parameter().shape, torch)
    assert_same(lambda lib: isinstance(lib.nn.Parameter(lib.ones(2)) * 2, lib.nn.Parameter), torch)
    with pytest.raises(RuntimeError, match="Only Tensors of floating point"):
        nn.Parameter(gpugrad.ones(2, dtype=gpugrad.int64))
    with pytest.raises(TypeError, match="expected a Tensor, got list"):
        nn.Parameter([1.0])


def test_a_copied_buffer_can_be_assigned() -> None:
    module = nn.Module()
    module.shift = copy.deepcopy(nn.Buffer(gpugrad.ones(2)))
    assert list(module.state_dict()) == ["shift"]


def test_repr_of_nested_and_many_lined_modules(torch: ModuleType) -> None:
    def case(library: ModuleType) -> Any:
        class Block(library.nn.Module):
            def __init__(self, lines: str) -> None:
                super().__init__()
                self.lines = lines

            def extra_repr(self) -> str:
                return self.lines

        inner = Block("one\ntwo")
        outer = Block("outside")
        outer.inner, outer.empty = inner, None
        outer.add_module("none", None)
        return repr(outer), repr(inner), repr(Block("one")), repr(Block(""))

    assert_same(case, torch)
