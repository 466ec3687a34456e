"""Pictures of segmentations, drawn with NumPy alone."""
