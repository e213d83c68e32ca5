"""IDX files and the image sets made of them: what is read back, and every way in which a file can be wrong."""

from __future__ import annotations

import gzip
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpugrad.data import load_digits, load_image_folder, read_idx, write_idx

DTYPES = ("uint8", "int8", "int16", "int32", "float32", "float64")
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

# 2x3 elements of int16, 1 to 6: the header and the elements are big-endian.
INT16_FILE = bytes.fromhex("00000b02 00000002 00000003 0001 0002 0003 0004 0005 0006")


@pytest.fixture
def image_set(tmp_path):
    """Write four small files that fit together, and return their folder."""
    for images, labels, count in ((IMAGES, LABELS, 6), (TEST_IMAGES, TEST_LABELS, 3)):
        write_idx(tmp_path / images, np.arange(count * 20, dtype=np.uint8).reshape(count, 5, 4))
        write_idx(tmp_path / labels, np.arange(count, dtype=np.uint8))
    return tmp_path


def test_reads_a_file_byte_by_byte(tmp_path):
    path = tmp_path / "data.idx"
    path.write_bytes(INT16_FILE)
    array = read_idx(str(path))
    np.testing.assert_array_equal(array, [[1, 2, 3], [4, 5, 6]])
    assert array.dtype == np.dtype("=i2") and array.dtype.isnative and array.flags.writeable


def test_writes_a_file_byte_by_byte(tmp_path):
    path = tmp_path / "data.idx"
    write_idx(path, np.arange(1, 7, dtype=np.int16).reshape(2, 3))
    assert path.read_bytes() == INT16_FILE


@pytest.mark.parametrize(
    ("dtype", "code"), [("uint8", 8), ("int8", 9), ("int16", 11), ("int32", 12), ("float32", 13), ("float64", 14)]
)
def test_dtype_codes(tmp_path, dtype, code):
    path = tmp_path / "data.idx"
    write_idx(path, np.zeros(2, dtype))
    assert path.read_bytes()[:4] == bytes([0, 0, code, 1])
    assert read_idx(path).dtype == dtype


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
    ),
    name=st.sampled_from(["data.idx", "data.idx.gz"]),
)
def test_round_trip(tmp_path_factory, array, name):
    path = tmp_path_factory.mktemp("idx") / name
    write_idx(path, array)
    assert path.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    result = read_idx(path)
    assert (result.dtype, result.shape) == (array.dtype, array.shape)
    assert result.tobytes() == array.tobytes()


def test_gzip_is_told_by_content_not_by_name(tmp_path):
    zipped, plain = tmp_path / "zipped", tmp_path / "plain.gz"
    zipped.write_bytes(gzip.compress(INT16_FILE))
    plain.write_bytes(INT16_FILE)
    np.testing.assert_array_equal(read_idx(zipped), read_idx(plain))


def test_a_gzipped_file_holds_no_date(tmp_path):
    write_idx(tmp_path / "data.gz", np.arange(100, dtype=np.int32))
    assert (tmp_path / "data.gz").read_bytes()[4:8] == bytes(4)


def test_writes_any_memory_layout(tmp_path):
    array = np.arange(24, dtype=">i4").reshape(4, 6).T[::2]
    write_idx(tmp_path / "data.idx", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "data.idx"), array)


def damaged_files() -> list:
    whole = gzip.compress(INT16_FILE)
    huge = struct.pack(">HBB3I", 0, 8, 3, 0, 2**32 - 1, 2**32 - 1)
    return [
        pytest.param(b"", "found 0 bytes, expected an IDX header of 4 bytes or more", id="empty"),
        pytest.param(INT16_FILE[:3], "found 3 bytes, expected an IDX header", id="cut in the magic number"),
        pytest.param(
            INT16_FILE[:11], "only 11 bytes, expected a header of 12 for 2 dimensions", id="cut in the header"
        ),
        pytest.param(
            INT16_FILE[:-1],
            r"only 23 bytes of IDX data, expected 24 for shape \(2, 3\) and dtype int16; the file is damaged: download",
            id="cut in the elements",
        ),
        pytest.param(INT16_FILE + b"\0", "found 25 bytes of IDX data, expected 24 for shape", id="too long"),
        pytest.param(
            b"\x89PNG\r\n", r"the magic number 89 50 4e 47, expected 00 00, a dtype code \(08, 09", id="a PNG"
        ),
        pytest.param(
            b"\0\0\x0a\x01" + bytes(8), "the magic number 00 00 0a 01, .* not an IDX file", id="unknown dtype"
        ),
        pytest.param(whole[:-9], "corrupt gzip data .*, expected a complete gzip file; .*again", id="gzip cut"),
        pytest.param(whole[:2], "corrupt gzip data", id="gzip magic alone"),
        pytest.param(whole[:-8] + bytes(8), "corrupt gzip data .*CRC", id="gzip checksum"),
        pytest.param(whole[:10] + b"\xff" * 20, "corrupt gzip data", id="gzip stream"),
        pytest.param(whole + b"more", "corrupt gzip data", id="gzip too long"),
        pytest.param(gzip.compress(INT16_FILE[:-2]), "only 22 bytes of IDX data, expected 24", id="cut inside gzip"),
        pytest.param(
            b"\0\0\x08\x41" + struct.pack(">65I", *[1] * 65) + b"\0",
            "expected one that NumPy can hold",
            id="too many dimensions",
        ),
        pytest.param(huge, r"found shape \(0, 4294967295, 4294967295\), expected one that NumPy", id="too large"),
    ]


@pytest.mark.parametrize(("content", "message"), damaged_files())
def test_damaged_file(tmp_path, content, message):
    path = tmp_path / "data.idx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: found ")


def test_no_truncation_goes_unnoticed(tmp_path):
    path = tmp_path / "data.idx"
    for content in (INT16_FILE, gzip.compress(INT16_FILE)):
        for length in range(len(content)):
            path.write_bytes(content[:length])
            with pytest.raises(ValueError, match="expected"):
                read_idx(path)


def test_no_changed_byte_of_a_gzip_gives_other_elements(tmp_path):
    path = tmp_path / "data.idx"
    content = gzip.compress(INT16_FILE, mtime=0)
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x11]) + content[position + 1 :])
        try:
            array = read_idx(path)  # the date in gzip's header may change without harm
        except ValueError as error:
            assert str(error).startswith(f"{path}: found ")
        else:
            np.testing.assert_array_equal(array, [[1, 2, 3], [4, 5, 6]])


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent.gz: found nothing, expected an IDX file, .* check the path"):
        read_idx(tmp_path / "absent.gz")
    with pytest.raises(FileNotFoundError, match="found a directory, expected an IDX file"):
        read_idx(tmp_path)


@pytest.mark.parametrize("dtype", ["int64", "bool", "float16", "complex64"])
def test_writing_a_dtype_that_idx_lacks(tmp_path, dtype):
    with pytest.raises(TypeError, match=rf"got dtype {dtype}, expected one of uint8, .* convert with array.astype"):
        write_idx(tmp_path / "data.idx", np.zeros(2, dtype))
    assert list(tmp_path.iterdir()) == []


def test_writing_a_dimension_that_idx_cannot_express(tmp_path):
    array = np.broadcast_to(np.uint8(0), (2**32,))
    with pytest.raises(ValueError, match=r"got shape \(4294967296,\), expected dimensions below 2\*\*32"):
        write_idx(tmp_path / "data.idx", array)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    target = tmp_path / "taken"
    target.mkdir()
    with pytest.raises(OSError, match="taken"):
        write_idx(target, np.zeros(2, np.uint8))
    assert list(tmp_path.iterdir()) == [target]


def test_digits():
    train_images, train_labels, test_images, test_labels = load_digits()
    assert [train_images.shape, test_images.shape] == [(1438, 8, 8), (359, 8, 8)]
    assert {array.dtype for array in (train_images, train_labels, test_images, test_labels)} == {np.dtype(np.uint8)}
    assert np.bincount(train_labels).tolist() == [142, 146, 142, 146, 145, 146, 145, 143, 139, 144]
    assert np.bincount(test_labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    for images in (train_images, test_images):
        assert (images.min(), images.max()) == (0, 16)
    together = np.concatenate([train_images, test_images]).reshape(1797, 64)
    assert len(np.unique(together, axis=0)) == 1797  # no image is in both parts
    assert train_labels[:10].tolist() == list(range(10))
    assert train_images[0, :2].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]


@pytest.mark.parametrize("rename", [str, lambda name: name + ".gz", lambda name: name.replace("-idx", ".idx")])
def test_image_folder(image_set, rename):
    expected = [read_idx(image_set / name) for name in (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS)]
    for name, array in zip((IMAGES, LABELS, TEST_IMAGES, TEST_LABELS), expected, strict=True):
        (image_set / name).unlink()
        write_idx(image_set / rename(name), array)
    for array, wanted in zip(load_image_folder(str(image_set)), expected, strict=True):
        np.testing.assert_array_equal(array, wanted)


def test_a_plain_file_goes_before_a_gzipped_one(image_set):
    (image_set / f"{LABELS}.gz").write_bytes(b"\x1f\x8b damaged")
    assert load_image_folder(image_set)[1].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", [IMAGES, LABELS, TEST_IMAGES, TEST_LABELS])
def test_folder_without_one_of_the_files(image_set, name):
    (image_set / name).unlink()
    others = ", ".join(sorted({IMAGES, LABELS, TEST_IMAGES, TEST_LABELS} - {name}))
    with pytest.raises(FileNotFoundError, match=f"found {others}, expected {name} or {name}.gz or .* add the file"):
        load_image_folder(image_set)


def test_folder_without_any_of_the_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="found nothing, expected train-images-idx3-ubyte"):
        load_image_folder(tmp_path)
    for index in range(10):
        (tmp_path / f"note{index}").touch()
    with pytest.raises(FileNotFoundError, match="note6, note7 and 2 more, expected train-images-idx3-ubyte"):
        load_image_folder(tmp_path)


def test_no_folder(image_set):
    with pytest.raises(FileNotFoundError, match=r"absent: found nothing, expected a folder that holds train-images"):
        load_image_folder(image_set / "absent")
    with pytest.raises(FileNotFoundError, match="found a file, expected a folder"):
        load_image_folder(image_set / IMAGES)


def test_a_damaged_file_in_the_folder_is_named(image_set):
    path = image_set / TEST_LABELS
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{TEST_LABELS}: found only 10 bytes of IDX data, expected 11"):
        load_image_folder(image_set)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (LABELS, np.zeros(5, np.uint8), f"found 5 labels, expected 6, one for each image in {IMAGES}; take both"),
        (TEST_LABELS, np.zeros(4, np.uint8), f"found 4 labels, expected 3, one for each image in {TEST_IMAGES}"),
        (LABELS, np.zeros((6, 1), np.uint8), r"found dtype uint8 and shape \(6, 1\), expected uint8 labels in 1 dim"),
        (LABELS, np.zeros(6, np.int32), r"found dtype int32 and shape \(6,\), expected uint8 labels"),
        (IMAGES, np.zeros((6, 20), np.uint8), r"found dtype uint8 and shape \(6, 20\), expected uint8 images in 3 dim"),
        (IMAGES, np.zeros((6, 5, 4), np.float32), r"found dtype float32 and .*, expected uint8 images"),
        (TEST_IMAGES, np.zeros((0, 5, 4), np.uint8), r"shape \(0, 5, 4\), expected .*, one or more; convert the file"),
        (TEST_IMAGES, np.zeros((3, 4, 5), np.uint8), rf"images of size \(4, 5\), expected \(5, 4\) as in {IMAGES}"),
        (TEST_LABELS, np.array([5, 6, 0], np.uint8), "found label 6 at index 1, expected labels from 0 to 5"),
    ],
)
def test_files_that_do_not_fit_together(image_set, name, array, message):
    write_idx(image_set / name, array)
    with pytest.raises(ValueError, match=message) as caught:
        load_image_folder(image_set)
    assert str(caught.value).startswith(str(image_set / name))


def test_number_of_classes(image_set):
    assert load_image_folder(image_set, num_classes=6)[1].max() == 5
    with pytest.raises(ValueError, match=f"{LABELS}: found label 4 at index 4, expected labels from 0 to 3"):
        load_image_folder(image_set, num_classes=4)


def test_reading_does_not_allocate_what_a_wrong_header_promises(tmp_path):
    path = tmp_path / "data.idx"
    path.write_bytes(struct.pack(">HBB2I", 0, 8, 2, 2**31, 2**31) + b"\0")
    expected = 12 + math.prod((2**31, 2**31))
    with pytest.raises(ValueError, match=f"only 13 bytes of IDX data, expected {expected}"):
        read_idx(path)
