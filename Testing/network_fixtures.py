"""Arguments that make networks of the registry small, for tests that run all of them."""

from importlib import metadata

from scripted_models.networks import NETWORKS

# Arguments that make a test quicker.
FEWER = {"VotedEnsemble": {"members": 2}, "AveragedEnsemble3D": {"members": 2}}
ZOO = [name for name in NETWORKS if name.startswith(("FCN", "Dilated", "Refine", "CRF"))]
FEWER |= {name: {"scale": 1 / 8 if name == "RefineNet" else 1 / 32} for name in ZOO}
THIN = {
    "MonaiUNet": {"channels": (4, 4, 4), "strides": (2, 2)},
    "BasicUNet": {"features": (4,) * 6},
    "DynUNet": {"filters": (4,) * 5},
    "AttentionUnet": {"channels": (8, 8, 8), "strides": (2, 2)},
}
FEWER |= THIN | {f"{name}3D": arguments for name, arguments in THIN.items()}
FEWER |= {"SegResNet3D": {"init_filters": 4}, "SegResNetDS3D": {"init_filters": 4}}
FEWER |= {"SwinUNETR3D": {"feature_size": 12, "depths": (1, 1, 1, 1)}}
if not metadata.version("monai").startswith("1.4."):  # which has windows of 7 alone
    FEWER["SwinUNETR3D"]["window_size"] = 3
NNUNET = {"features_per_stage": (4, 6, 8), "kernel_sizes": (3, 3, 3), "strides": (1, 2, 2)}
PLAIN = {**NNUNET, "n_conv_per_stage": (1, 2, 1), "n_conv_per_stage_decoder": (1, 1)}
RESIDUAL = {**NNUNET, "n_blocks_per_stage": (1, 2, 1), "n_conv_per_stage_decoder": (1, 1)}
FEWER |= {"PlainConvUNet": PLAIN, "PlainConvUNet3D": PLAIN}
FEWER |= {"ResidualEncoderUNet": RESIDUAL, "ResidualEncoderUNet3D": RESIDUAL}
