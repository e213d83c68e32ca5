"""Timings beside another library: `gpugrad bench`."""
