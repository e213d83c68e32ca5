"""Enters the CUDA device and the launchers of all kernels; imported when a CUDA device is first asked for."""

from . import arrange as arrange
from . import array as array
from . import conv as conv
from . import copy as copy
from . import cross_entropy as cross_entropy
from . import gemm as gemm
from . import gradients as gradients
from . import index as index
from . import lookup as lookup
from . import loss as loss
from . import normalization as normalization
from . import optimizer as optimizer
from . import perceptron as perceptron
from . import pool as pool
from . import random as random
from . import recurrent as recurrent
from . import reduce as reduce
from . import resample as resample
from . import rules as rules
from . import sampling as sampling
from . import scan as scan
from . import softmax as softmax
from . import sort as sort
from . import strided as strided
