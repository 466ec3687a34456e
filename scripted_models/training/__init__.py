"""Headless training: `scripted_models.training.run.train`."""
