"""What gpugrad computes with, and how: the questions and switches of `torch.backends`."""

from . import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
