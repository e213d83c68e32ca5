"""A plugin of pytest (`-p narrow_limits`): kernels count in 64 bits from 16 elements on, not from 2^31."""

from gpugrad.cuda import strides

strides.SMALL = 16
