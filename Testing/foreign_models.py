"""Models of other programs, generated in their true layout with random weights."""

import copy
import io
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.networks import nets
from torch import nn

from scripted_models.cli import main

WINDOW = [24, 32, 16]
NETWORK = {
    "_target_": "SegResNet",
    "blocks_down": [1, 2, 2, 4],
    "blocks_up": [1, 1, 1],
    "init_filters": 16,
    "in_channels": 4,
    "out_channels": 3,
    "dropout_prob": 0.2,
}
METADATA: dict[str, Any] = {
    "version": "0.5.2",
    "name": "BRATS MRI segmentation",
    "task": "Multimodal Brain Tumor segmentation",
    "description": "A pre-trained model for volumetric (3D) segmentation of brain tumor subregions",
    "authors": "MONAI team",
    "copyright": "Copyright (c) MONAI Consortium",
    "data_source": "https://www.med.upenn.edu/sbia/brats2018/data.html",
    "image_classes": "4 channel data, T1c, T1, T2, FLAIR at 1x1x1 mm",
    "references": ["Myronenko, Andriy. '3D MRI brain tumor segmentation using autoencoder'"],
    "network_data_format": {
        "inputs": {
            "image": {
                "num_channels": 4,
                "channel_def": {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"},
            }
        },
        "outputs": {
            "pred": {
                "num_channels": 3,
                "channel_def": {
                    "0": "Tumor core",
                    "1": "Whole tumor",
                    "2": "Enhancing tumor",
                },
            }
        },
    },
}
# The keys of the model zoo's configs/inference.json; windows are smaller.
INFERENCE: dict[str, Any] = {
    "imports": ["$import glob", "$import os"],
    "bundle_root": ".",
    "ckpt_dir": "$@bundle_root + '/models'",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "network_def": NETWORK,
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {
                "_target_": "NormalizeIntensityd",
                "keys": "image",
                "nonzero": True,
                "channel_wise": True,
            },
        ],
    },
    "inferer": {
        "_target_": "SlidingWindowInferer",
        "roi_size": WINDOW,
        "sw_batch_size": 1,
        "overlap": 0.5,
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing"},
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
            {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x"},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ],
    },
    "evaluating": ["$@evaluator.run()"],
}


def spread(network: torch.nn.Module) -> torch.nn.Module:
    """Give a network weights with which every output is about as likely as not."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0.0, 1.5 / parameter[0].numel() ** 0.5)
    return network.eval()


@cache
def zoo_network(seed: int = 0) -> torch.nn.Module:
    """Return MONAI's own network of `brats_mri_segmentation`."""
    torch.manual_seed(seed)
    return spread(nets.SegResNet(**{k: v for k, v in NETWORK.items() if k != "_target_"}))


def saved(content: object) -> bytes:
    """Return what torch.save writes."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def monai_bundle(network: torch.nn.Module | None = None) -> dict[str, bytes]:
    """Return the files of a bundle, as a download of the model zoo has them."""
    weights = saved((network or zoo_network()).state_dict())
    return {
        "configs/metadata.json": json.dumps(METADATA).encode(),
        "configs/inference.json": json.dumps(INFERENCE).encode(),
        "configs/train.json": b"{}",
        "configs/logging.conf": b"",
        "docs/README.md": b"# Model Overview",
        "docs/data_license.txt": b"Third Party Licenses: BraTS 2018",
        "LICENSE": b"Apache License\nVersion 2.0",
        "models/model.pt": weights,
        "models/model.ts": b"program",
        "scripts/prepare_datalist.py": b"raise SystemExit",
    }


def changed(content: bytes, path: str, value: object) -> bytes:
    """Return a JSON file with another value at a path such as 'a.b.0.c'; None takes it out."""
    table = copy.deepcopy(json.loads(content))
    *before, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = table
    for part in before:
        place = place[part] if not isinstance(place, dict) else place[str(part)]
    key = last if isinstance(place, list) else str(last)
    if value is None:
        del place[key]
    else:
        place[key] = value
    return json.dumps(table).encode()


def write_folder(files: dict[str, bytes], folder: Path) -> Path:
    """Write files into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(files: dict[str, bytes], path: Path, top: str = "") -> Path:
    """Write files into a zip file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return path


AUTO3DSEG: dict[str, Any] = {
    "network": {
        "_target_": "SegResNetDS",
        "init_filters": 8,
        "blocks_down": [1, 1, 2],
        "norm": "INSTANCE_NVFUSER",
        "in_channels": 4,
        "out_channels": 3,
        "dsdepth": 2,
    },
    "bundle_root": "/somewhere",
    "ckpt_path": "$@bundle_root + '/model'",
    "roi_size": [24, 32, 16],
    "modality": "mri",
    "normalize_mode": "meanstd",
    "intensity_bounds": [0.0, 3000.0],
    "sigmoid": True,
    "orientation_ras": True,
    "crop_foreground": True,
    "resample": False,
    "resample_resolution": [1.0, 1.0, 1.0],
    "class_names": ["whole tumor", "tumor core", "enhancing tumor"],
    "class_index": [[1, 2, 3], [1, 3], [3]],
    "extra_modalities": {"image2": "t1c", "image3": "t1n", "image4": "t2w"},
}


def auto3dseg_network(seed: int = 0) -> torch.nn.Module:
    """Return MONAI's own network of the checkpoint."""
    torch.manual_seed(seed)
    stated = {k: v for k, v in AUTO3DSEG["network"].items() if k != "_target_"}
    return spread(nets.SegResNetDS(**{**stated, "norm": "INSTANCE"}))


def auto3dseg(config: object = AUTO3DSEG, state: object = None) -> bytes:
    """Return a checkpoint as MONAI's segmenter of SegResNet saves it."""
    state = auto3dseg_network().state_dict() if state is None else state
    return saved({"state_dict": state, "config": config, "epoch": 300, "best_metric": 0.9})


FORM: dict[str, Any] = {
    "n_stages": 3,
    "features_per_stage": [8, 16, 32],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": [[3, 3, 3]] * 3,
    "strides": [[1, 1, 1], [2, 2, 2], [1, 2, 2]],
    "n_conv_per_stage": [2, 2, 2],
    "n_conv_per_stage_decoder": [2, 2],
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
PLANS: dict[str, Any] = {
    "dataset_name": "Dataset137_BraTS2021",
    "plans_name": "nnUNetPlans",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "image_reader_writer": "SimpleITKIO",
    "configurations": {
        "2d": {"patch_size": [192, 160], "spacing": [1.0, 1.0]},
        "3d_base": {
            "preprocessor_name": "DefaultPreprocessor",
            "spacing": [1.0, 1.0, 1.0],
            "normalization_schemes": ["ZScoreNormalization"] * 4,
            "use_mask_for_norm": [True] * 4,
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet."
                "PlainConvUNet",
                "arch_kwargs": FORM,
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
            },
        },
        "3d_fullres": {"inherits_from": "3d_base", "patch_size": [16, 48, 48]},
        "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
    },
}
REGIONS: dict[str, Any] = {
    "channel_names": {"0": "T1", "1": "T1ce", "2": "T2", "3": "FLAIR"},
    "labels": {
        "background": 0,
        "whole tumor": [1, 2, 3],
        "tumor core": [2, 3],
        "enhancing tumor": [3],
    },
    "regions_class_order": [1, 2, 3],
    "numTraining": 1251,
    "file_ending": ".nii.gz",
    "name": "BraTS2021",
    "licence": "see BraTS 2021",
}
LABELS_2024: dict[str, Any] = {
    **REGIONS,
    "labels": {"background": 0, "NETC": 1, "SNFH": 2, "ET": 3, "RC": 4},
    "regions_class_order": None,
    "name": "BraTS2024-GLI",
}


def nnunet_network(outputs: int, residual: bool = False, seed: int = 0) -> torch.nn.Module:
    """Return the network that the package of nnU-Net builds."""
    from dynamic_network_architectures.architectures import unet

    torch.manual_seed(seed)
    form = {**FORM, "conv_op": nn.Conv3d, "norm_op": nn.InstanceNorm3d, "nonlin": nn.LeakyReLU}
    if residual:
        form["n_blocks_per_stage"] = form.pop("n_conv_per_stage")
    kind = unet.ResidualEncoderUNet if residual else unet.PlainConvUNet
    network = spread(kind(input_channels=4, num_classes=outputs, deep_supervision=False, **form))
    with torch.no_grad():  # else the means of its features decide alone
        kernel = network.decoder.seg_layers[-1].weight
        kernel -= kernel.mean(dim=1, keepdim=True)
        network.decoder.seg_layers[-1].bias.zero_()
    return network


def nnunet_checkpoint(network: torch.nn.Module, **changes: Any) -> bytes:
    """Return a checkpoint with the keys that nnU-Net's trainer saves."""
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.99, nesterov=True)
    return saved(
        {
            "network_weights": network.state_dict(),
            "optimizer_state": optimizer.state_dict(),
            "grad_scaler_state": None,
            "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(0.1)]},
            "_best_ema": np.float64(0.9),
            "current_epoch": 1000,
            "init_args": {
                "configuration": "3d_fullres",
                "fold": 0,
                "unpack_dataset": True,
                "device": torch.device("cpu"),
            },
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1, 2),
            **changes,
        }
    )


def nnunet(dataset: dict[str, Any], checkpoint: bytes, plans: object = PLANS) -> dict[str, bytes]:
    """Return the files of a trained model of nnU-Net."""
    return {
        "plans.json": json.dumps(plans).encode(),
        "dataset.json": json.dumps({k: v for k, v in dataset.items() if v is not None}).encode(),
        "dataset_fingerprint.json": b"{}",
        "fold_0/checkpoint_final.pth": checkpoint,
        "fold_0/progress.png": b"",
        "fold_0/validation/summary.json": b"{}",
    }


@pytest.fixture(name="home")
def make_home(tmp_path, monkeypatch):
    """The folder of the user's models, three levels deep, and the current one."""
    folder = tmp_path / "deep" / "home"
    folder.mkdir(parents=True)
    monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


def refuse_import(home, capsys, words, *arguments):
    """Import a hostile model: one sentence with these words, and nothing is left anywhere."""
    root = home.parent.parent
    (home / "models").mkdir()
    before = sorted(root.rglob("*"))
    assert main(["models", "--import", *arguments]) == 3
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert sorted(root.rglob("*")) == before
