"""Procedural heads with gliomas."""
