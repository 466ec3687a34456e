"""Where the images and label maps of PASCAL VOC and of SBD lie.

VOC: `VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,ImageSets/Segmentation}`; SBD (Hariharan et al. 2011):
`benchmark_RELEASE/dataset/{img,cls,train.txt,val.txt}`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripted_models.errors import InputError

LISTS = "ImageSets/Segmentation"


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


def find_voc(folder: Path) -> Path:
    """Return the folder with JPEGImages: the given one, or the only VOC20xx in it or in its VOCdevkit.

    Raises:
        InputError: none, or several years.
    """
    folder = Path(folder)
    places = [folder, *sorted(folder.glob("VOC20*")), *sorted(folder.glob("VOCdevkit/VOC20*"))]
    found = [place for place in places if (place / "JPEGImages").is_dir()]
    if len(found) != 1:
        names = ", ".join(str(place) for place in found) or "no folder JPEGImages"
        raise InputError(
            f"{folder}: found {names}, expected one year of VOC; name the folder VOC20xx."
        )
    return found[0]


def find_sbd(folder: Path) -> Path:
    """Return the folder with img and cls: the given one, or dataset or benchmark_RELEASE/dataset in it.

    Raises:
        InputError: there is none.
    """
    folder = Path(folder)
    for place in (folder, folder / "dataset", folder / "benchmark_RELEASE" / "dataset"):
        if (place / "img").is_dir() and (place / "cls").is_dir():
            return place
    raise InputError(
        f"{folder}: found no folders img and cls, expected SBD; name its folder dataset."
    )


def names_of(path: Path) -> list[str]:
    """Read a list of names, one on each line; what follows a name is left out.

    Raises:
        InputError: not there, empty, or a name twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: found no readable list of images ({error}); name another."
        ) from error
    names = [line.split()[0] for line in lines if line.strip()]
    if not names or len(set(names)) < len(names):
        raise InputError(f"{path}: found {len(names)} names, expected at least one and each once.")
    return names


def voc_images(folder: Path, split: str = "", with_masks: bool = True) -> list[VocImage]:
    """Return the images of a split of VOC.

    Args:
        folder: see `find_voc`.
        split: name of a list in ImageSets/Segmentation ('train', 'val', 'trainval', ...), or a text file;
            empty: all that have a label map.
        with_masks: whether every image must have a label map.

    Raises:
        InputError: a list, picture or label map that is not there.
    """
    root = find_voc(folder)
    masks = {path.stem: path for path in sorted((root / "SegmentationClass").glob("*.png"))}
    listed = Path(split) if Path(split).is_file() else root / LISTS / f"{split}.txt"
    names = names_of(listed) if split else sorted(masks)
    pictures = {
        path.stem: path for path in sorted((root / "JPEGImages").iterdir())
        if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    }  # fmt: skip
    _refuse_absent(root / "JPEGImages", names, pictures)
    if with_masks:
        _refuse_absent(root / "SegmentationClass", names, masks)
    return [VocImage(name, pictures[name], masks.get(name)) for name in names]


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
    pictures = {path.stem: path for path in (root / "img").glob("*.jpg")}
    masks = {path.stem: path for path in (root / "cls").glob("*.mat")}
    _refuse_absent(root / "img", names, pictures)
    _refuse_absent(root / "cls", names, masks)
    return [VocImage(name, pictures[name], masks[name]) for name in names]


def seg11valid(voc: Path, sbd: Path) -> list[VocImage]:
    """Return VOC 2011's val without the images of SBD's train (Long et al. 2015, section 5)."""
    trained = set(names_of(find_sbd(sbd) / "train.txt"))
    return [image for image in voc_images(voc, "val") if image.name not in trained]


def _refuse_absent(folder: Path, names: Sequence[str], there: dict[str, Path]) -> None:
    if absent := [name for name in names if name not in there]:
        raise InputError(
            f"{folder}: found no file for {len(absent)} of {len(names)} images ({', '.join(absent[:5])}), "
            "expected one for each; complete the folder or take them out of the list."
        )
