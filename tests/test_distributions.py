"""Distributions beside PyTorch's: samples from the same seed, densities, entropies, gradients, errors."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from nn_pair import Case, assert_error, assert_same, values

import gpugrad

Make = Callable[[Any, Any, Any], Any]  # (library, real parameter, positive parameter) -> distribution

CASES: dict[str, Make] = {
    "Normal": lambda lib, a, b: lib.distributions.Normal(a, b),
    "Uniform": lambda lib, a, b: lib.distributions.Uniform(a, a + b),
    "Exponential": lambda lib, a, b: lib.distributions.Exponential(b),
    "Laplace": lambda lib, a, b: lib.distributions.Laplace(a, b),
    "LogNormal": lambda lib, a, b: lib.distributions.LogNormal(a, b),
    "Bernoulli": lambda lib, a, b: lib.distributions.Bernoulli(probs=a.sigmoid()),
    "Bernoulli logits": lambda lib, a, b: lib.distributions.Bernoulli(logits=a),
    "Categorical": lambda lib, a, b: lib.distributions.Categorical(b),
    "Categorical logits": lambda lib, a, b: lib.distributions.Categorical(logits=a),
    "OneHotCategorical": lambda lib, a, b: lib.distributions.OneHotCategorical(probs=b),
    "Independent": lambda lib, a, b: lib.distributions.Independent(lib.distributions.Normal(a, b), 1),
}
DIFFERENTIABLE = ["Normal", "Uniform", "Exponential", "Laplace", "LogNormal", "Independent"]
COUNTABLE = ["Bernoulli", "Bernoulli logits", "Categorical", "Categorical logits", "OneHotCategorical"]


def made(library: ModuleType, name: str, shape: tuple[int, ...] = (4, 5)) -> tuple[Any, list[Any]]:
    parameters = [values(library, *shape, requires_grad=True), values(library, *shape, seed=1).exp().requires_grad_()]
    parameters[1] = parameters[1].detach().requires_grad_()
    return CASES[name](library, *parameters), parameters


def numbers(value: Any) -> np.ndarray:
    return value.detach().numpy()


def same(ours: Any, theirs: Any, what: str) -> None:
    assert tuple(ours.shape) == tuple(theirs.shape), what
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1], what
    np.testing.assert_allclose(numbers(ours), numbers(theirs), rtol=2e-5, atol=2e-6, err_msg=what)


@pytest.mark.parametrize("name", CASES)
def test_draws_and_what_is_known_of_them(torch: ModuleType, name: str) -> None:
    seen: list[dict[str, Any]] = []
    for library in (gpugrad, torch):
        d, _ = made(library, name)
        library.manual_seed(3)
        facts = {"sample": d.sample(), "samples": d.sample((3, 2))}
        facts["log_prob"] = d.log_prob(facts["samples"])
        for attribute in ("mean", "mode", "variance", "stddev"):
            facts[attribute] = getattr(d, attribute)
        facts["entropy"] = d.entropy()
        if name in DIFFERENTIABLE and name != "Independent":
            facts["cdf"], facts["icdf"] = d.cdf(facts["samples"]), d.icdf(library.full((4, 5), 0.3))
        if name in COUNTABLE:
            facts["support"], facts["plain support"] = d.enumerate_support(), d.enumerate_support(expand=False)
        if name != "Independent":
            facts["perplexity"] = d.perplexity()
        wide = d.expand((3, 4, 5) if len(d.batch_shape) == 2 else (3, 4))
        facts["expanded"] = wide.sample()
        facts["repr"] = repr(d).replace("torch.", "gpugrad."), tuple(d.batch_shape), tuple(d.event_shape)
        assert not facts["sample"].requires_grad
        seen.append(facts)
    ours, theirs = seen
    assert ours.pop("repr") == theirs.pop("repr")
    for what in ours:
        same(ours[what], theirs[what], what)


@pytest.mark.parametrize("name", CASES)
def test_gradients(torch: ModuleType, name: str) -> None:
    results = []
    for library in (gpugrad, torch):
        d, parameters = made(library, name)
        library.manual_seed(4)
        sample = d.sample((2,))
        loss = (d.log_prob(sample) * values(library, *d.log_prob(sample).shape, seed=2)).sum() + d.entropy().sum()
        if name in DIFFERENTIABLE:
            loss = loss + (d.rsample((3,)) ** 2).sum()
        loss.backward()
        results.append([p.grad for p in parameters if p.grad is not None])
    for k, (a, b) in enumerate(zip(*results, strict=True)):
        same(a, b, f"gradient of parameter {k}")


@pytest.mark.parametrize("name", [name for name in CASES if "logits" not in name])
def test_divergence(torch: ModuleType, name: str) -> None:
    results = []
    for library in (gpugrad, torch):
        (p, parameters), q = made(library, name), made(library, name)[0]
        shifted = [values(library, 4, 5, seed=5), values(library, 4, 5, seed=6).exp()]
        q = CASES[name](library, *shifted)
        divergence = library.distributions.kl_divergence(p, q)
        finite = library.where(divergence.isfinite(), divergence, library.zeros_like(divergence))
        if finite.requires_grad:
            finite.sum().backward()
        results.append([divergence, *[t.grad for t in parameters if t.grad is not None]])
    for a, b in zip(*results, strict=True):
        same(a, b, name)


NUMBERS: list[Case] = [
    lambda lib: lib.distributions.Normal(0, 1.0).batch_shape,
    lambda lib: lib.distributions.Normal(0.0, lib.ones(2)).batch_shape,
    lambda lib: lib.distributions.Bernoulli(0.25).mean,
    lambda lib: repr(lib.distributions.Normal(0.0, 1.0)),
    lambda lib: repr(lib.distributions.Categorical(lib.ones(3))),
    lambda lib: lib.distributions.Categorical(lib.tensor([0.0, 0, 1])).sample().item(),
    lambda lib: lib.distributions.Uniform(0.0, 2.0, validate_args=False).log_prob(lib.tensor([-1.0, 1.0])),
    lambda lib: lib.distributions.kl_divergence(
        lib.distributions.Bernoulli(lib.tensor([0.0, 1.0, 0.5])),
        lib.distributions.Bernoulli(lib.tensor([0.0, 0.5, 1.0])),
    ).isinf(),
    lambda lib: lib.distributions.Normal(0.0, 1.0).has_rsample,
]


@pytest.mark.parametrize("case", NUMBERS, ids=range(len(NUMBERS)))
def test_numbers_as_parameters(torch: ModuleType, case: Case) -> None:
    assert_same(case, torch)


ERRORS: list[tuple[type[Exception], Case]] = [
    (ValueError, lambda lib: lib.distributions.Normal(0.0, -1.0)),
    (ValueError, lambda lib: lib.distributions.Normal(lib.tensor([float("nan")]), 1.0)),
    (ValueError, lambda lib: lib.distributions.Normal("0", 1.0)),
    (ValueError, lambda lib: lib.distributions.Uniform(1.0, 0.0)),
    (ValueError, lambda lib: lib.distributions.Bernoulli(probs=1.5)),
    (ValueError, lambda lib: lib.distributions.Bernoulli()),
    (ValueError, lambda lib: lib.distributions.Bernoulli(probs=0.5, logits=0.5)),
    (ValueError, lambda lib: lib.distributions.Bernoulli(probs=0.5).log_prob(lib.tensor(0.5))),
    (ValueError, lambda lib: lib.distributions.Categorical(lib.tensor(0.5))),
    (ValueError, lambda lib: lib.distributions.Categorical(lib.tensor([-1.0, 2.0]))),
    (ValueError, lambda lib: lib.distributions.Categorical(lib.ones(3)).log_prob(lib.tensor(3))),
    (ValueError, lambda lib: lib.distributions.Normal(lib.zeros(2), 1.0).log_prob(lib.zeros(3))),
    (ValueError, lambda lib: lib.distributions.Normal(0.0, 1.0).log_prob(2.0)),
    (ValueError, lambda lib: lib.distributions.Exponential(0.0)),
    (ValueError, lambda lib: lib.distributions.Independent(lib.distributions.Normal(0.0, 1.0), 1)),
    (NotImplementedError, lambda lib: lib.distributions.Categorical(lib.ones(3)).rsample()),
    (
        NotImplementedError,
        lambda lib: lib.distributions.kl_divergence(
            lib.distributions.Normal(0.0, 1.0), lib.distributions.Categorical(lib.ones(2))
        ),
    ),
]


@pytest.mark.parametrize(("error", "case"), ERRORS, ids=range(len(ERRORS)))
def test_class_of_error(torch: ModuleType, error: type[Exception], case: Case) -> None:
    for library in (gpugrad, torch):
        with pytest.raises(error):
            case(library)


def test_message_of_a_bad_parameter(torch: ModuleType) -> None:
    assert_error(lambda lib: lib.distributions.Normal(0.0, -1.0), torch, ValueError)


def test_a_rule_of_ones_own() -> None:
    class Half(gpugrad.distributions.Normal):
        """A class of its own."""

    @gpugrad.distributions.register_kl(Half, Half)
    def _(p: Any, q: Any) -> Any:
        return gpugrad.tensor(0.5)

    p = Half(0.0, 1.0)
    assert gpugrad.distributions.kl_divergence(p, p).item() == 0.5
    assert gpugrad.distributions.kl_divergence(p, gpugrad.distributions.Normal(0.0, 1.0)).item() == 0
    with pytest.raises(TypeError, match="Expected type_p to be a Distribution subclass"):
        gpugrad.distributions.register_kl(int, Half)


def test_format_of_a_number_and_of_a_tensor(torch: ModuleType) -> None:
    assert_same(lambda lib: f"{lib.tensor(1.5)} {lib.tensor(2)} {lib.tensor(2.0):.3f} {lib.ones(2)}", torch)
    assert_same(lambda lib: f"{lib.nn.Parameter(lib.tensor(1.5))}", torch)
    with pytest.raises(TypeError, match="unsupported format string"):
        format(gpugrad.ones(2), ".2f")


def test_draws_from_expanded_probabilities_come_in_order(torch: ModuleType) -> None:
    def case(lib: Any) -> Any:
        lib.manual_seed(0)
        p = lib.full((4, 5), 0.5).expand(2, 4, 5)
        return [lib.bernoulli(p), lib.rand_like(p), lib.randn_like(p), lib.randint_like(p, 9)]

    ours, theirs = case(gpugrad), case(torch)
    for a, b in zip(ours, theirs, strict=True):
        same(a, b, "draws")
