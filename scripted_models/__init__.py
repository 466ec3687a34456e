"""Brain tumor segmentation without 3D Slicer: data, networks, training, inference, evaluation."""

__version__ = "0.1.0"
