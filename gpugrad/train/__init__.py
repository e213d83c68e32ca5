"""The main job: training a classifier of images, as `gpugrad train` does it."""
