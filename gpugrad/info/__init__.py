"""`gpugrad info`: what this installation is made of and runs on, to paste into a bug report."""
