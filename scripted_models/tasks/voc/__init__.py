"""PASCAL VOC: its classes, files and scores."""
