"""Dense conditional random fields, after any network, in training and at inference."""

from scripted_models.networks.crf.dense_crf import DenseCRF
from scripted_models.networks.crf.gaussian_filters import FILTERS

__all__ = ["FILTERS", "DenseCRF"]
