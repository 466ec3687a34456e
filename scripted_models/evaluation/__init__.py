"""Scores of label maps against those of experts."""
