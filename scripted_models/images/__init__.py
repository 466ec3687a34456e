"""Volumes: files in and out, behind checks of their bytes."""
