"""Containers: lists and dictionaries of modules and of parameters."""

from __future__ import annotations

from collections import OrderedDict
from types import ModuleType
from typing import Any

import pytest
from device_tools import cpu_only, each_device
from nn_pair import Case, assert_error, assert_same, values

import gpugrad

pytestmark = each_device


def modules(library: ModuleType, count: int = 3) -> list[Any]:
    """Modules that can be told apart."""
    return [library.nn.LeakyReLU(float(i)) for i in range(count)]


def named(library: ModuleType) -> Any:
    return library.nn.Sequential(OrderedDict(zip(("first", "second", "third"), modules(library))))


def held(container: Any) -> Any:
    return list(container._modules), repr(container)


SEQUENCES: list[Case] = [
    lambda lib, c: held(c),
    lambda lib, c: held(c[1:]),
    lambda lib, c: held(c[::2]),
    lambda lib, c: held(c[:0]),
    lambda lib, c: [c[0], c[-1], len(c), list(c)],
    lambda lib, c: (c.__setitem__(0, lib.nn.Tanh()), held(c)),
    lambda lib, c: (c.__setitem__(-1, lib.nn.Tanh()), held(c)),
    lambda lib, c: (c.__delitem__(0), held(c)),
    lambda lib, c: (c.__delitem__(slice(0, 2)), held(c)),
    lambda lib, c: (c.append(lib.nn.Tanh()) is c, held(c)),
    lambda lib, c: (c.insert(1, lib.nn.Tanh()), held(c))[1],
    lambda lib, c: (c.insert(3, lib.nn.Tanh()), held(c))[1],
    lambda lib, c: (c.pop(0), held(c)),
    lambda lib, c: (c.pop(-1), held(c)),
    lambda lib, c: (c.extend(modules(lib)) is c, held(c)),
    lambda lib, c: held(c.__iadd__(c.__class__(*modules(lib)) if isinstance(c, lib.nn.Sequential) else modules(lib))),
]


@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
@pytest.mark.parametrize("use", SEQUENCES)
def test_sequences(torch: ModuleType, use: Any, kind: str) -> None:
    def case(library: ModuleType) -> Any:
        make = getattr(library.nn, kind)
        return use(library, make(*modules(library)) if kind == "Sequential" else make(modules(library)))

    assert isinstance(assert_same(case, torch), list)


OTHERS: list[Case] = [
    lambda lib: held(named(lib)),
    lambda lib: held(named(lib)[1:]),
    lambda lib: (named(lib).second, held(named(lib))),
    lambda lib: held(lib.nn.Sequential()),
    lambda lib: held(lib.nn.Sequential(*modules(lib)) + lib.nn.Sequential(*modules(lib))),
    lambda lib: held(lib.nn.Sequential(*modules(lib)) * 2),
    lambda lib: held(2 * lib.nn.Sequential(*modules(lib, 1))),
    lambda lib: held(lib.nn.ModuleList()),
    lambda lib: held(lib.nn.ModuleList(modules(lib)) + lib.nn.ModuleList(modules(lib))),
    lambda lib: repr(lib.nn.ModuleList([lib.nn.Linear(2, 2), lib.nn.Linear(2, 2), lib.nn.ReLU(), lib.nn.Linear(2, 2)])),
    lambda lib: repr(lib.nn.ModuleList([lib.nn.Sequential(lib.nn.ReLU()) for _ in range(3)])),
    lambda lib: lib.nn.Sequential(lib.nn.Softplus(), lib.nn.Flatten(0))(values(lib, 2, 2)),
    lambda lib: lib.nn.Sequential()(values(lib, 2)),
]


@pytest.mark.parametrize("case", OTHERS)
def test_sequences_of_other_kinds(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)


def dictionary(library: ModuleType) -> Any:
    made = library.nn.ModuleDict({"a": library.nn.ReLU(), "b": library.nn.Tanh()})
    made.update([("c", library.nn.Linear(2, 1, bias=False))])
    return made


DICTIONARIES: list[Case] = [
    lambda lib, d: held(d),
    lambda lib, d: [list(d), list(d.keys()), list(d.values()), [k for k, _ in d.items()], len(d), "a" in d, "z" in d],
    lambda lib, d: [d["a"], d.c, list(dict(d.named_parameters()))],
    lambda lib, d: (d.__setitem__("a", lib.nn.SiLU()), held(d)),
    lambda lib, d: (d.__delitem__("a"), held(d)),
    lambda lib, d: (d.pop("b"), held(d)),
    lambda lib, d: (d.clear(), held(d)),
    lambda lib, d: (d.update({"b": lib.nn.SiLU()}), held(d)),
    lambda lib, d: held(lib.nn.ModuleDict()),
]


@pytest.mark.parametrize("use", DICTIONARIES)
def test_dictionaries(torch: ModuleType, use: Any) -> None:
    assert isinstance(assert_same(lambda lib: use(lib, dictionary(lib)), torch), list)


def parameters(library: ModuleType) -> list[Any]:
    """Tensors of which a container makes parameters, and a parameter."""
    return [library.zeros(2), library.nn.Parameter(library.ones(1, 3)), library.full((), 2.0)]


PARAMETERS: list[Case] = [
    lambda lib, p: [repr(p), list(p), len(p), p[0], p[-1], p.state_dict()],
    lambda lib, p: list(p[1:]),
    lambda lib, p: (p.__setitem__(-2, lib.ones(4)), list(p)),
    lambda lib, p: (p.append(lib.ones(1)) is p, list(p)),
    lambda lib, p: (p.extend([lib.ones(1)]) is p, list(p.parameters())),
    lambda lib, p: list(p.__iadd__([lib.ones(1)])),
    lambda lib, p: [t.requires_grad for t in p],
]


@cpu_only
@pytest.mark.parametrize("use", PARAMETERS)
def test_parameter_lists(torch: ModuleType, use: Any) -> None:
    assert_same(lambda lib: use(lib, lib.nn.ParameterList(parameters(lib))), torch)


PARAMETER_DICTIONARIES: list[Case] = [
    lambda lib, p: [repr(p), list(p), len(p), p["x"], p.y, "x" in p, "a" in p, p.state_dict()],
    lambda lib, p: [list(p.keys()), list(p.values()), list(p.items())],
    lambda lib, p: (p.__setitem__("x", lib.ones(4)), p.state_dict()),
    lambda lib, p: (p.__delitem__("x"), p.state_dict()),
    lambda lib, p: (p.pop("y"), p.state_dict()),
    lambda lib, p: (p.update({"a": lib.ones(1)}), p.state_dict()),
    lambda lib, p: (p.clear(), p.state_dict()),
    lambda lib, p: [p.get("x"), p.get("a"), p.get("a", 5)],
]


@cpu_only
@pytest.mark.parametrize("use", PARAMETER_DICTIONARIES)
def test_parameter_dictionaries(torch: ModuleType, use: Any) -> None:
    assert_same(lambda lib: use(lib, lib.nn.ParameterDict(dict(zip("xyz", parameters(lib))))), torch)


ERRORS: list[tuple[type[Exception], Case]] = [
    (IndexError, lambda lib: lib.nn.Sequential(*modules(lib))[3]),
    (IndexError, lambda lib: lib.nn.ModuleList(modules(lib))[-4]),
    (IndexError, lambda lib: lib.nn.ParameterList(parameters(lib))[3]),
    (IndexError, lambda lib: lib.nn.ParameterList(parameters(lib)).__setitem__(-4, lib.ones(1))),
    (IndexError, lambda lib: lib.nn.Sequential(*modules(lib)).insert(4, lib.nn.ReLU())),
    (TypeError, lambda lib: lib.nn.Sequential(1)),
    (TypeError, lambda lib: lib.nn.ModuleList([lib.nn.ReLU(), lib.ones(1)])),
    (TypeError, lambda lib: lib.nn.Sequential(*modules(lib)).append(5)),
    (KeyError, lambda lib: dictionary(lib)["z"]),
    (KeyError, lambda lib: dictionary(lib).pop("z")),
    (KeyError, lambda lib: lib.nn.ModuleDict({"forward": lib.nn.ReLU()})),
    (TypeError, lambda lib: lib.nn.ModuleDict({"a": 5})),
]


@pytest.mark.parametrize(("error", "case"), ERRORS)
def test_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    assert_error(case, torch, error)


def test_sequential_times() -> None:
    with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
        named(gpugrad) * 0
    with pytest.raises(TypeError, match="unsupported operand"):
        named(gpugrad) * 1.5


def test_missing_parameters_of_a_dictionary() -> None:
    with pytest.raises(KeyError, match="z"):
        gpugrad.nn.ParameterDict({"x": gpugrad.ones(1)})["z"]
