"""Convolution of NumPy arrays over any number of spatial dimensions, and its two adjoints.

The work is one matrix product per block of images, sized so that its operands stay in the cache. What surrounds the
product is kept cheap by one layout, the *lattice*:

* The images of a channel, and the channels after one another, lie in one long row, so that a tap of the kernel is a
  shift of the whole row: gathering the columns of the product is one straight copy per tap, scattering them one
  straight addition.
* Only the padding before each line is stored. A window that runs over the end of a line reads the zeros before the
  next one; at the end of the row there are none left to read, and the columns are zero there.
* A stride s splits the lattice into phases: pixels whose padded position leaves the same remainder modulo s lie side
  by side, so that a tap is again a shift, within its phase.

Each output pixel has a place on the lattice. The few places that belong to no output pixel hold results nobody reads
(forward) or zeros (gradients). If the data is not finite, 0 * inf at those places can bring NaN to neighbouring taps
and border pixels of a gradient.

Products are computed in float32 or wider; half precision is rounded once, at the end. Same inputs, same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import numpy as np

# The columns of one product, in bytes: long enough to keep every core of the BLAS busy, and within a shared cache.
_COLUMN_BYTES = 4 << 20

_EVERY_IMAGE = (slice(None), slice(None))


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many windows fit into `size` pixels with `padding` zeros on either side; zero or less if none does."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def conv(
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """Cross-correlates `x` (N, C, *spatial) with `weight` (O, C / groups, *kernel): (N, O, *out), in `x`'s dtype.

    Raises RuntimeError if the shapes do not fit each other or no window fits into the padded input.
    """
    shifts = _Shifts(x.shape, weight.shape, stride, padding, dilation, groups)
    out = np.empty(shifts.output_shape, x.dtype)
    matrix = _weight_matrix(weight, groups, np.result_type(x, np.float32))
    for block in _blocks(shifts, matrix.dtype):
        scratch = block.scratch
        scratch.load_image(x[block.images, block.channels])
        scratch.gather()
        _matmul(matrix[block.groups], scratch.column_matrix, scratch.out_matrix)
        out[block.images, block.out_channels] = scratch.out.swapaxes(0, 1)
    return out


def conv_grad_input(
    g: np.ndarray,
    weight: np.ndarray,
    *,
    input_shape: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """The adjoint of `conv` in `x`: maps `g` (N, O, *out) to `input_shape`. This is also the transposed convolution.

    Raises RuntimeError if `g` does not have the shape that `conv` gives for `input_shape`.
    """
    shifts = _Shifts(input_shape, weight.shape, stride, padding, dilation, groups)
    shifts.check_output(g)
    grad = np.zeros(tuple(input_shape), g.dtype)
    matrix = _weight_matrix(weight, groups, np.result_type(g, np.float32)).swapaxes(1, 2)
    for block in _blocks(shifts, matrix.dtype):
        scratch = block.scratch
        scratch.out[...] = g[block.images, block.out_channels].swapaxes(0, 1)
        _matmul(matrix[block.groups], scratch.out_matrix, scratch.column_matrix)
        scratch.scatter()
        scratch.store_image(grad[block.images, block.channels])
    return grad


def conv_grad_weight(
    g: np.ndarray,
    x: np.ndarray,
    *,
    weight_shape: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """The adjoint of `conv` in `weight`: maps `g` (N, O, *out), given `x`, to `weight_shape`.

    Raises RuntimeError if `g` does not have the shape that `conv` gives for `x` and `weight_shape`.
    """
    shifts = _Shifts(x.shape, weight_shape, stride, padding, dilation, groups)
    shifts.check_output(g)
    out_channels, per_group, *kernel = weight_shape
    grad = np.zeros((groups, prod(kernel) * per_group, out_channels // groups), np.result_type(g, np.float32))
    for block in _blocks(shifts, grad.dtype):
        scratch = block.scratch
        scratch.load_image(x[block.images, block.channels])
        scratch.gather()
        scratch.out[...] = g[block.images, block.out_channels].swapaxes(0, 1)
        grad[block.groups] += np.matmul(scratch.column_matrix, scratch.out_matrix.swapaxes(1, 2))
    grad = grad.reshape(groups, prod(kernel), per_group, out_channels // groups).transpose(0, 3, 2, 1)
    return grad.reshape(tuple(weight_shape)).astype(g.dtype, copy=False)


def _weight_matrix(weight: np.ndarray, groups: int, dtype: np.dtype) -> np.ndarray:
    """`weight` as (groups, O / groups, taps * C / groups): the order in which the columns are gathered."""
    out_channels, per_group, *kernel = weight.shape
    taps_last = weight.astype(dtype, copy=False).reshape(groups, out_channels // groups, per_group, prod(kernel))
    return taps_last.swapaxes(2, 3).reshape(groups, out_channels // groups, -1)


def _matmul(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """`left @ right` into `out`. A sum of one term is an outer product, at which BLAS is several times slower."""
    multiply = np.multiply if left.shape[-1] == 1 else np.matmul
    multiply(left, right, out=out)


class _Shifts:
    """The lattice of one image, and what each tap of the kernel reads from it: a phase, and a shift within it."""

    def __init__(
        self,
        input_shape: Sequence[int],
        weight_shape: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> None:
        _check_window(stride, padding, dilation, groups)
        _check_channels(input_shape, weight_shape, groups)
        batch, self.channels, *spatial = input_shape
        self.out_channels, _, *kernel = weight_shape
        self.groups = groups
        self.out = tuple(map(output_size, spatial, kernel, stride, padding, dilation))
        if min(self.out) < 1:
            raise RuntimeError(
                f"conv: a kernel of {tuple(kernel)} with dilation {tuple(dilation)} is larger than the input of "
                f"{tuple(spatial)} with padding {tuple(padding)}; use a smaller kernel or more padding"
            )
        self.output_shape = (batch, self.out_channels, *self.out)
        self.lattice = tuple(
            max(out, (size - 1 + before) // step + 1)
            for out, size, before, step in zip(self.out, spatial, padding, stride)
        )
        reads = [[divmod(tap * d, s) for tap in range(k)] for k, s, d in zip(kernel, stride, dilation)]
        taps = [tuple(zip(*tap)) for tap in product(*reads)]  # (steps along each axis, phase along each axis)
        phases = sorted({phase for _, phase in taps})
        line = [prod(self.lattice[axis + 1 :]) for axis in range(len(spatial))]
        self.taps = [(phases.index(phase), sum(n * m for n, m in zip(steps, line))) for steps, phase in taps]
        self.phases = [_placement(phase, spatial, stride, padding) for phase in phases]

    def check_output(self, g: np.ndarray) -> None:
        """Raises RuntimeError unless `g` has the shape of the convolution's output."""
        if g.shape != self.output_shape:
            raise RuntimeError(f"conv: the gradient has shape {g.shape}, but the output has {self.output_shape}")


def _check_window(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int) -> None:
    if min(*stride, *dilation, groups) < 1 or min(padding) < 0:
        raise RuntimeError(
            f"conv: stride {tuple(stride)}, dilation {tuple(dilation)} and groups {groups} must be positive, padding "
            f"{tuple(padding)} must not be negative"
        )


def _check_channels(input_shape: Sequence[int], weight_shape: Sequence[int], groups: int) -> None:
    if len(input_shape) != len(weight_shape):
        raise RuntimeError(
            f"conv: the input has {len(input_shape)} dimensions (shape {tuple(input_shape)}), but the weight has "
            f"{len(weight_shape)} (shape {tuple(weight_shape)}); give both a batch or output channel dimension, a "
            "channel dimension, and the same number of spatial ones"
        )
    if input_shape[1] != weight_shape[1] * groups or weight_shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight_shape)}, expected input{list(input_shape)} to have "
            f"{weight_shape[1] * groups} channels and the output channels to be divisible by groups, but got "
            f"{input_shape[1]} channels and {weight_shape[0]} output channels instead"
        )


def _placement(
    phase: Sequence[int], spatial: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where one phase keeps its pixels: an index into a (C, N, *lattice) array, and one into (N, C, *spatial)."""
    places, pixels = [], []
    for remainder, size, step, before in zip(phase, spatial, stride, padding):
        first = (remainder - before) % step
        start = (first + before) // step
        places.append(slice(start, start + len(range(first, size, step))))
        pixels.append(slice(first, None, step))
    return (*_EVERY_IMAGE, *places), (*_EVERY_IMAGE, *pixels)


class _Scratch:
    """Buffers for one block, and the views of them that its product uses; made once and used block after block."""

    def __init__(self, shifts: _Shifts, groups: int, count: int, dtype: np.dtype) -> None:
        self.shifts = shifts
        self.counts = groups, count
        taps, phases = len(shifts.taps), len(shifts.phases)
        per_group, out_per_group = shifts.channels // shifts.groups, shifts.out_channels // shifts.groups
        width = count * prod(shifts.lattice)
        self.image = np.zeros((phases, groups * per_group, count, *shifts.lattice), dtype)
        self.rows = self.image.reshape(phases, groups, per_group * width)
        self.columns = np.zeros((groups, taps, per_group * width), dtype)
        self.column_matrix = self.columns.reshape(groups, taps * per_group, width)
        places = np.zeros((groups * out_per_group, count, *shifts.lattice), dtype)
        self.out_matrix = places.reshape(groups, out_per_group, width)
        self.out = places[(*_EVERY_IMAGE, *(slice(size) for size in shifts.out))]

    def load_image(self, x: np.ndarray) -> None:
        """Lays `x` (count, C, *spatial) out on the lattice."""
        for phase, (places, pixels) in zip(self.image, self.shifts.phases):
            phase[places] = x[pixels].swapaxes(0, 1)

    def store_image(self, x: np.ndarray) -> None:
        """Copies the lattice's pixels to `x`; leaves the pixels alone that no window reads."""
        for phase, (places, pixels) in zip(self.image, self.shifts.phases):
            x[pixels] = phase[places].swapaxes(0, 1)

    def gather(self) -> None:
        """Fills the columns: for each tap, the lattice shifted so that every window's pixel lies at its output."""
        for source, target in self._shifted():
            target[...] = source

    def scatter(self) -> None:
        """The adjoint of `gather`: adds the columns up on the lattice."""
        self.image.fill(0)
        for target, source in self._shifted():
            np.add(target, source, out=target)

    def _shifted(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each tap, its part of the lattice and of the columns: views of equal shape."""
        for tap, (phase, shift) in enumerate(self.shifts.taps):
            row = self.rows[phase][:, shift:]
            yield row, self.columns[:, tap, : row.shape[1]]


class _Block:
    """The images and the groups of channels that one product covers, and the buffers it works in."""

    __slots__ = ("channels", "groups", "images", "out_channels", "scratch")

    def __init__(self, images: slice, channels: slice, out_channels: slice, groups: slice, scratch: _Scratch) -> None:
        self.images = images
        self.channels = channels
        self.out_channels = out_channels
        self.groups = groups
        self.scratch = scratch


def _blocks(shifts: _Shifts, dtype: np.dtype) -> Iterator[_Block]:
    """Splits the work into blocks whose columns fit the cache: as many images as possible, then as many groups."""
    per_group, out_per_group = shifts.channels // shifts.groups, shifts.out_channels // shifts.groups
    column_bytes = len(shifts.taps) * per_group * prod(shifts.lattice) * dtype.itemsize
    fitting = max(1, _COLUMN_BYTES // max(1, column_bytes))
    image_count = max(1, min(fitting, shifts.output_shape[0]))
    scratch = None
    for groups in _slices(shifts.groups, max(1, fitting // image_count)):
        for images in _slices(shifts.output_shape[0], image_count):
            counts = groups.stop - groups.start, images.stop - images.start
            if scratch is None or scratch.counts != counts:
                scratch = _Scratch(shifts, *counts, dtype)
            yield _Block(images, _scaled(groups, per_group), _scaled(groups, out_per_group), groups, scratch)


def _slices(total: int, length: int) -> Iterator[slice]:
    for start in range(0, total, length):
        yield slice(start, min(start + length, total))


def _scaled(span: slice, factor: int) -> slice:
    return slice(span.start * factor, span.stop * factor)
