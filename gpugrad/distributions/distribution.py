"""The base of all distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from .. import ops
from ..core import Tensor
from ..dtypes import get_default_dtype
from ..modes import no_grad
from ..size import Size
from .constraints import Constraint

Self = TypeVar("Self", bound="Distribution")
Shape = Sequence[int]
Number = (int, float, bool)


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors and numbers as tensors of one shape. ValueError for anything else."""
    if not all(isinstance(v, (Tensor, *Number)) for v in values):
        raise ValueError("Input arguments must all be instances of Number, Tensor.")
    first = next((v for v in values if isinstance(v, Tensor)), None)
    options = {"dtype": get_default_dtype()} if first is None else {"dtype": first.dtype, "device": first.device}
    return tuple(ops.broadcast_tensors(*[v if isinstance(v, Tensor) else ops.tensor(v, **options) for v in values]))


def batch_shape_of(value: Tensor, *given: Any) -> Size:
    """The shape of `value`, which was broadcast; () if only numbers were given."""
    return Size() if all(isinstance(v, Number) for v in given) else value.shape


class Distribution:
    """A distribution of tensors of `event_shape`, one for each element of `batch_shape`.

    A subclass says what its `parameters` are and which values they may have (`arg_constraints`), and what it samples
    (`support`). ValueError for parameters, or values given to `log_prob`, that are out of range, unless
    `validate_args` is False.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    def __init__(self, batch_shape: Shape = (), event_shape: Shape = (), validate_args: bool | None = None) -> None:
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if not self._validate_args:
            return
        for name, constraint in self.arg_constraints.items():
            if name in self.__dict__ and not constraint.check(getattr(self, name)).all().item():
                value = getattr(self, name)
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check what they are given."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args() takes True or False, got {value!r}")
        Distribution._validate_args = value

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        raise NotImplementedError

    @property
    def support(self) -> Constraint:
        raise NotImplementedError

    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not implement mode")

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    def expand(self: Self, batch_shape: Shape) -> Self:
        """This distribution with its parameters expanded to `batch_shape`."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._batch_shape = Size(batch_shape)
        made._expand_parameters(self)
        return made

    def _expand_parameters(self, source: Any) -> None:
        """Expand the tensors that `arg_constraints` names and that are there."""
        for name, constraint in source.arg_constraints.items():
            if name in self.__dict__:
                value = self.__dict__[name]
                own = tuple(value.shape[value.ndim - constraint.event_dim :])
                self.__dict__[name] = value.expand((*self._batch_shape, *own))

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """A tensor of `sample_shape`, then `batch_shape` and `event_shape`, without a gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """A sample as a differentiable function of the parameters. NotImplementedError unless `has_rsample`."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample")

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample not above `value`."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The reverse of `cdf`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values there are, along a new first dimension."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy, for each element of the batch."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """`exp(entropy())`."""
        return ops.exp(self.entropy())

    def _extended_shape(self, sample_shape: Shape = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        """ValueError unless `value` broadcasts with the distribution and lies in its support."""
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, expected = tuple(value.shape), (*self._batch_shape, *self._event_shape)
        if shape[len(shape) - len(self._event_shape) :] != tuple(self._event_shape):
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.shape} vs {self._event_shape}."
            )
        if any(i != 1 and j != 1 and i != j for i, j in zip(reversed(shape), reversed(expected))):
            raise ValueError(
                f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs {Size(expected)}."
            )
        if not self.support.check(value).all().item():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {shape}) to be within the support "
                f"({self.support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        shown = [(name, self.__dict__[name]) for name in self.arg_constraints if name in self.__dict__]
        return f"{type(self).__name__}({', '.join(f'{n}: {v if v.numel() == 1 else v.shape}' for n, v in shown)})"
