"""Images for classification: the packaged handwritten digits and folders of MNIST-format IDX files, as NumPy arrays."""

from gpugrad.data.idx import load_digits, load_image_folder, read_idx, write_idx

__all__ = ["load_digits", "load_image_folder", "read_idx", "write_idx"]
