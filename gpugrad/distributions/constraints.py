"""Which values a parameter or a sample may have: as `torch.distributions.constraints`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Tensor


class Constraint:
    """A set of values. `event_dim` dimensions at the end are one value."""

    is_discrete = False
    event_dim = 0

    def __init__(
        self, name: str, holds: Callable[[Any], Any], *, is_discrete: bool = False, event_dim: int = 0
    ) -> None:
        self._name = name
        self._holds = holds
        self.is_discrete = is_discrete
        self.event_dim = event_dim

    def check(self, value: Tensor) -> Tensor:
        """For each value, as a bool, whether it is in the set."""
        return self._holds(value)

    def __repr__(self) -> str:
        return self._name


def _simplex(value: Tensor) -> Tensor:
    return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


def _finite(value: Tensor) -> Tensor:
    return value == value


real = Constraint("Real()", _finite)
real_vector = Constraint("IndependentConstraint(Real(), 1)", lambda v: _finite(v).all(-1), event_dim=1)
positive = Constraint("GreaterThan(lower_bound=0.0)", lambda v: v > 0)
nonnegative = Constraint("GreaterThanEq(lower_bound=0.0)", lambda v: v >= 0)
unit_interval = Constraint("Interval(lower_bound=0.0, upper_bound=1.0)", lambda v: (v >= 0) & (v <= 1))
boolean = Constraint("Boolean()", lambda v: (v == 0) | (v == 1), is_discrete=True)
simplex = Constraint("Simplex()", _simplex, event_dim=1)
one_hot = Constraint(
    "OneHot()", lambda v: ((v == 0) | (v == 1)).all(-1) & (v.sum(-1) == 1), is_discrete=True, event_dim=1
)


def greater_than(lower_bound: Any) -> Constraint:
    """Above `lower_bound`."""
    return Constraint(f"GreaterThan(lower_bound={lower_bound})", lambda v: v > lower_bound)


def less_than(upper_bound: Any) -> Constraint:
    """Below `upper_bound`."""
    return Constraint(f"LessThan(upper_bound={upper_bound})", lambda v: v < upper_bound)


def interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """From `lower_bound` to `upper_bound`."""
    name = f"Interval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(name, lambda v: (v >= lower_bound) & (v <= upper_bound))


def integer_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Whole numbers from `lower_bound` to `upper_bound`."""
    name = f"IntegerInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(name, lambda v: (v % 1 == 0) & (v >= lower_bound) & (v <= upper_bound), is_discrete=True)


__all__ = [
    "Constraint",
    "boolean",
    "greater_than",
    "integer_interval",
    "interval",
    "less_than",
    "nonnegative",
    "one_hot",
    "positive",
    "real",
    "real_vector",
    "simplex",
    "unit_interval",
]
