"""Headless training: `scripted_models.training.trainer.train`."""
