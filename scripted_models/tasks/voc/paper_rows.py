"""What papers print for PASCAL VOC."""

from typing import NamedTuple

from scripted_models.errors import InputError


class VocRow(NamedTuple):
    """One printed row.

    Attributes:
        method, source: as printed; paper and table.
        images: what it was scored on.
        pixel_accuracy, mean_accuracy, mean_iu, frequency_weighted_iu: percent; None: not printed.
    """

    method: str
    source: str
    images: str
    pixel_accuracy: float | None = None
    mean_accuracy: float | None = None
    mean_iu: float | None = None
    frequency_weighted_iu: float | None = None


_LONG, _YU = "Long et al. 2015, table ", "Yu & Koltun 2016, table "
_SUBSET, _VAL11, _TEST11 = "subset of VOC 2011 val", "VOC 2011 val", "VOC 2011 test"
_VAL12, _TEST12 = "VOC 2012 val", "VOC 2012 test"


def _only_iu(method: str, source: str, images: str, mean_iu: float) -> VocRow:
    return VocRow(method, source, images, mean_iu=mean_iu)


PAPER_ROWS = (
    _only_iu("FCN-AlexNet", _LONG + "1", _VAL11, 39.8),
    _only_iu("FCN-VGG16", _LONG + "1", _VAL11, 56.0),
    _only_iu("FCN-GoogLeNet", _LONG + "1", _VAL11, 42.5),
    VocRow("FCN-32s-fixed", _LONG + "2", _SUBSET, 83.0, 59.7, 45.4, 72.0),
    VocRow("FCN-32s", _LONG + "2", _SUBSET, 89.1, 73.3, 59.4, 81.4),
    VocRow("FCN-16s", _LONG + "2", _SUBSET, 90.0, 75.7, 62.4, 83.0),
    VocRow("FCN-8s", _LONG + "2", _SUBSET, 90.3, 75.9, 62.7, 83.2),
    _only_iu("FCN-8s", _LONG + "3", _TEST11, 62.7),
    _only_iu("FCN-8s", _LONG + "3", _TEST12, 62.2),
    _only_iu("DeepLab", _YU + "2", _TEST12, 62.1),
    _only_iu("DeepLab-Msc", _YU + "2", _TEST12, 62.9),
    _only_iu("Front end", _YU + "2", _TEST12, 67.6),
    _only_iu("Front end", _YU + "3", _VAL12, 69.8),
    _only_iu("Front + Basic", _YU + "3", _VAL12, 71.3),
    _only_iu("Front + Large", _YU + "3", _VAL12, 72.1),
    _only_iu("Front end + CRF", _YU + "3", _VAL12, 71.6),
    _only_iu("Front + Basic + CRF", _YU + "3", _VAL12, 72.7),
    _only_iu("Front + Large + CRF", _YU + "3", _VAL12, 73.3),
    _only_iu("Front end + RNN", _YU + "3", _VAL12, 72.5),
    _only_iu("Front + Basic + RNN", _YU + "3", _VAL12, 73.1),
    _only_iu("Front + Large + RNN", _YU + "3", _VAL12, 73.9),
    _only_iu("RefineNet", "Lin et al. 2017, abstract", _TEST12, 83.4),
)


def paper_rows(method: str) -> tuple[VocRow, ...]:
    """Return the rows that papers print for a method.

    Raises:
        InputError: there is none.
    """
    if found := tuple(row for row in PAPER_ROWS if row.method == method):
        return found
    known = dict.fromkeys(row.method for row in PAPER_ROWS)
    raise InputError(
        found=f"the method '{method}'",
        expected="one that a paper prints",
        action=f"choose one of {', '.join(known)}",
    )
