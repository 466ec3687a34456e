"""Where the images and label maps of PASCAL VOC and of SBD lie.

VOC: `VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,ImageSets/Segmentation}`. SBD (Hariharan
et al. 2011): `benchmark_RELEASE/dataset/{img,cls,train.txt,val.txt}`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.tasks.voc.name_lists import names_of

LISTS = "ImageSets/Segmentation"
PICTURES, LABEL_MAPS = (".jpg", ".jpeg", ".png"), (".png",)
SEG11VALID = "seg11valid"  # the "subset of VOC 2011 val" of Long et al. 2015


@dataclass(frozen=True)
class VocImage:
    """One image with its label map.

    Attributes:
        name: without suffix.
        picture: JPEG or PNG.
        mask: palette PNG of VOC or .mat of SBD; None when there is none.
    """

    name: str
    picture: Path
    mask: Path | None

    @property
    def label_map(self) -> Path:
        """File of the label map.

        Raises:
            InputError: there is none.
        """
        if self.mask is None:
            raise InputError(
                found=f"no label map for {self.name}",
                expected="one",
                action="complete the folder or take the image out of the list",
            )
        return self.mask


def find_voc(folder: Path) -> Path:
    """Return the folder with JPEGImages.

    That is the given one, or the only VOC20xx in it or in its VOCdevkit.

    Raises:
        InputError: none, or several years.
    """
    folder = Path(folder)
    places = [folder, *sorted(folder.glob("VOC20*")), *sorted(folder.glob("VOCdevkit/VOC20*"))]
    found = [place for place in places if (place / "JPEGImages").is_dir()]
    if len(found) != 1:
        raise InputError(
            found=", ".join(str(place) for place in found) or "no folder JPEGImages",
            expected="one year of VOC",
            action="name the folder VOC20xx",
            path=folder,
        )
    return found[0]


def find_sbd(folder: Path) -> Path:
    """Return the folder with img and cls.

    That is the given one, or dataset or benchmark_RELEASE/dataset in it.

    Raises:
        InputError: there is none.
    """
    folder = Path(folder)
    for place in (folder, folder / "dataset", folder / "benchmark_RELEASE" / "dataset"):
        if (place / "img").is_dir() and (place / "cls").is_dir():
            return place
    raise InputError(
        found="no folders img and cls",
        expected="SBD",
        action="name its folder dataset",
        path=folder,
    )


def voc_images(folder: Path, split: str = "", with_masks: bool = True) -> list[VocImage]:
    """Return the images of a split of VOC.

    Args:
        folder: see `find_voc`.
        split: name of a list in ImageSets/Segmentation ('train', 'val', 'trainval', ...), or a text
            file; empty: all that have a label map.
        with_masks: whether every image must have a label map.

    Raises:
        InputError: a list, picture or label map that is not there.
    """
    root = find_voc(folder)
    masks = _files(root / "SegmentationClass", LABEL_MAPS)
    listed = Path(split) if Path(split).is_file() else root / LISTS / f"{split}.txt"
    names = names_of(listed) if split else sorted(masks)
    pictures = _only_files(root / "JPEGImages", names, PICTURES)
    wanted = names if with_masks else [name for name in names if name in masks]
    chosen = _only_files(root / "SegmentationClass", wanted, LABEL_MAPS)
    return [VocImage(name, pictures[name], chosen.get(name)) for name in names]


def sbd_images(folder: Path, split: str = "train", without: Sequence[str] = ()) -> list[VocImage]:
    """Return the images of a split of SBD.

    Args:
        folder: see `find_sbd`.
        split: 'train' or 'val'.
        without: names to leave out, such as those of VOC's val, which SBD's train overlaps.

    Raises:
        InputError: a list, picture or label map that is not there.
    """
    root = find_sbd(folder)
    left_out = set(without)
    names = [name for name in names_of(root / f"{split}.txt") if name not in left_out]
    pictures = _only_files(root / "img", names, PICTURES)
    masks = _only_files(root / "cls", names, (".mat",))
    return [VocImage(name, pictures[name], masks[name]) for name in names]


def scored_images(voc: Path, split: str, sbd: Path | None = None) -> list[VocImage]:
    """Return the images, all with a label map, on which a network is scored.

    Args:
        voc: see `find_voc`.
        split: as for `voc_images`; or 'seg11valid', which is VOC 2011's val without the images of
            SBD's train (Long et al. 2015, section 5).
        sbd: folder of SBD, which 'seg11valid' needs.

    Raises:
        InputError: a list, picture or label map that is not there.
    """
    if split != SEG11VALID:
        return voc_images(voc, split)
    if sbd is None:
        raise InputError(
            found=f"the list {SEG11VALID}, which leaves out what SBD trains on, without SBD",
            expected="its folder",
            action="name it with --sbd or data.sbd",
        )
    trained = set(names_of(find_sbd(sbd) / "train.txt"))
    return [image for image in voc_images(voc, "val") if image.name not in trained]


def _files(folder: Path, suffixes: tuple[str, ...]) -> dict[str, list[Path]]:
    """Return the files of a folder with one of these suffixes in small or capital letters."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            found[path.stem].append(path)
    return found


def _only_files(folder: Path, names: Sequence[str], suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the file of each name.

    Raises:
        InputError: none, or several for one name.
    """
    there = _files(folder, suffixes)
    if absent := [name for name in names if name not in there]:
        raise InputError(
            found=f"no file for {len(absent)} of {len(names)} images ({', '.join(absent[:5])})",
            expected=f"one for each, ending in {' or '.join(suffixes)}",
            action="complete the folder or take them out of the list",
            path=folder,
        )
    if several := [path.name for name in names if len(there[name]) > 1 for path in there[name]]:
        raise InputError(
            found=f"several files of one name ({', '.join(several[:5])})",
            expected="one for each image",
            action="remove the others",
            path=folder,
        )
    return {name: there[name][0] for name in names}
