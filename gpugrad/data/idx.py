"""IDX files, the format of MNIST, and the image sets stored in them.

An IDX file is a magic number (two zero bytes, a dtype code, the number of dimensions), one big-endian uint32 per
dimension, and the elements, big-endian, in C order. The format: http://yann.lecun.com/exdb/mnist
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

_DTYPES: dict[int, np.dtype] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(np.int16),
    0x0C: np.dtype(np.int32),
    0x0D: np.dtype(np.float32),
    0x0E: np.dtype(np.float64),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_DTYPE_NAMES = ", ".join(dtype.name for dtype in _CODES)

_GZIP_MAGIC = b"\x1f\x8b"
_COPY_AGAIN = "the file is damaged: download or copy it again"

StrPath = str | os.PathLike[str]
ImageSet = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def read_idx(path: StrPath) -> np.ndarray:
    """Read the array in the IDX file `path`, gzipped or not (its first bytes tell, not its name).

    Returns:
        A new writable array in native byte order: uint8, int8, int16, int32, float32 or float64, of any shape.

    Raises:
        FileNotFoundError: `path` is not a file.
        ValueError: the file is not an IDX file, or it is corrupt, truncated or too long.
    """
    path = Path(path)
    content = _read_bytes(path)
    dtype, shape, header_size = _parse_header(path, content)
    size = header_size + math.prod(shape) * dtype.itemsize
    if len(content) != size:
        what = "only " if len(content) < size else ""
        expected = f"{size} for shape {shape} and dtype {dtype}"
        raise _mismatch(path, f"{what}{len(content)} bytes of IDX data", expected, _COPY_AGAIN)
    elements = np.frombuffer(content, dtype.newbyteorder(">"), offset=header_size)
    try:
        return elements.reshape(shape).astype(dtype)
    except ValueError as error:
        raise _mismatch(path, f"shape {shape}", "one that NumPy can hold", _COPY_AGAIN) from error


def _mismatch(path: Path, found: str, expected: str, advice: str) -> ValueError:
    return ValueError(f"{path}: found {found}, expected {expected}; {advice}")


def _read_bytes(path: Path) -> bytes:
    """Return the content of the file `path`, decompressed if it is gzipped."""
    if not path.is_file():
        found = "a directory" if path.is_dir() else "nothing"
        raise FileNotFoundError(f"{path}: found {found}, expected an IDX file, gzipped or not; check the path")
    content = path.read_bytes()
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _mismatch(path, f"corrupt gzip data ({error})", "a complete gzip file", _COPY_AGAIN) from error


def _parse_header(path: Path, content: bytes) -> tuple[np.dtype, tuple[int, ...], int]:
    """Return dtype, shape and the header's length in bytes."""
    magic = content[:4]
    if len(magic) < 4:
        raise _mismatch(path, f"{len(content)} bytes", "an IDX header of 4 bytes or more", _COPY_AGAIN)
    zeros, code, ndim = struct.unpack(">HBB", magic)
    if zeros != 0 or code not in _DTYPES:
        codes = ", ".join(f"{code:02x}" for code in _DTYPES)
        expected = f"00 00, a dtype code ({codes}), the number of dimensions"
        raise _mismatch(path, f"the magic number {magic.hex(' ')}", expected, "this is not an IDX file: check the path")
    header_size = 4 + 4 * ndim
    if len(content) < header_size:
        expected = f"a header of {header_size} for {ndim} dimensions"
        raise _mismatch(path, f"only {len(content)} bytes", expected, _COPY_AGAIN)
    return _DTYPES[code], struct.unpack_from(f">{ndim}I", content, offset=4), header_size


def write_idx(path: StrPath, array: np.ndarray) -> None:
    """Write `array` (any shape, one of IDX's dtypes) to the IDX file `path`, gzipped if the name ends in `.gz`.

    An existing file is replaced as a whole or, after an error, left as it was.

    Raises:
        TypeError: IDX has no code for the array's dtype.
        ValueError: a dimension has 2**32 elements or more.
    """
    path = Path(path)
    dtype = array.dtype.newbyteorder("=")
    if dtype not in _CODES:
        raise TypeError(f"write_idx(): got dtype {dtype}, expected one of {_DTYPE_NAMES}; convert with array.astype()")
    if any(size >= 2**32 for size in array.shape):
        raise ValueError(f"write_idx(): got shape {array.shape}, expected dimensions below 2**32; split the array")
    header = struct.pack(f">HBB{array.ndim}I", 0, _CODES[dtype], array.ndim, *array.shape)
    content = header + array.astype(dtype.newbyteorder(">")).tobytes()
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)  # no date: the same array gives the same file
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_digits() -> ImageSet:
    """Load the packaged handwritten digits (UCI, 8x8, pixels 0 to 16); see `digits/README.md` beside this file.

    Returns:
        `(train_images, train_labels, test_images, test_labels)`, uint8, of shapes (1438, 8, 8), (1438,), (359, 8, 8)
        and (359,). Labels are 0 to 9.
    """
    return load_image_folder(Path(__file__).parent / "digits", num_classes=10)


def load_image_folder(directory: StrPath, num_classes: int | None = None) -> ImageSet:
    """Load an image set from a folder of MNIST's four IDX files, each gzipped or not.

    The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`; a dot may stand before `idx`, and `.gz` at the end. A file that is there both plain and
    gzipped is read plain.

    Args:
        directory: the folder.
        num_classes: labels must be below it. None: below one more than the largest training label.

    Returns:
        `(train_images, train_labels, test_images, test_labels)`, uint8: images of shape (N, H, W) with pixels as
        they are stored, labels of shape (N,).

    Raises:
        FileNotFoundError: the folder or one of the files is missing.
        ValueError: a file is unreadable, or what the files hold does not fit together.
    """
    images_file, labels_file, test_images_file, test_labels_file = _find_files(Path(directory))
    train_images, train_labels = _read_split(images_file, labels_file)
    test_images, test_labels = _read_split(test_images_file, test_labels_file)
    if test_images.shape[1:] != train_images.shape[1:]:
        found, expected = test_images.shape[1:], f"{train_images.shape[1:]} as in {images_file.name}"
        raise _mismatch(test_images_file, f"images of size {found}", expected, "take both files from one set")
    if num_classes is None:
        num_classes = int(train_labels.max()) + 1
    _check_labels(labels_file, train_labels, num_classes)
    _check_labels(test_labels_file, test_labels, num_classes)
    return train_images, train_labels, test_images, test_labels


def _find_files(directory: Path) -> list[Path]:
    """Return the paths of training images and labels, test images and labels."""
    names = [f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    if not directory.is_dir():
        found = "a file" if directory.exists() else "nothing"
        raise FileNotFoundError(
            f"{directory}: found {found}, expected a folder that holds {', '.join(names)} (or .gz); check the path"
        )
    files = []
    for name in names:
        spellings = [spelling + end for spelling in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
        candidates = [directory / spelling for spelling in spellings if (directory / spelling).is_file()]
        if not candidates:
            held = sorted(entry.name for entry in directory.iterdir())
            found = ", ".join(held[:8]) + (f" and {len(held) - 8} more" if len(held) > 8 else "") or "nothing"
            raise FileNotFoundError(
                f"{directory}: found {found}, expected {' or '.join(spellings)}; "
                "add the file, or name the folder that holds it"
            )
        files.append(candidates[0])
    return files


def _read_split(images_file: Path, labels_file: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_idx(images_file), read_idx(labels_file)
    for path, array, ndim, what in ((images_file, images, 3, "images"), (labels_file, labels, 1, "labels")):
        if array.dtype != np.uint8 or array.ndim != ndim or array.size == 0:
            found = f"dtype {array.dtype} and shape {array.shape}"
            raise _mismatch(path, found, f"uint8 {what} in {ndim} dimension(s), one or more", "convert the file")
    if len(images) != len(labels):
        found, expected = f"{len(labels)} labels", f"{len(images)}, one for each image in {images_file.name}"
        raise _mismatch(labels_file, found, expected, "take both files from one set")
    return images, labels


def _check_labels(path: Path, labels: np.ndarray, num_classes: int) -> None:
    if labels.max() >= num_classes:
        index = int(np.argmax(labels >= num_classes))
        found, expected = f"label {labels[index]} at index {index}", f"labels from 0 to {num_classes - 1}"
        raise _mismatch(path, found, expected, "correct the labels or the number of classes")
