"""What papers print for PASCAL VOC."""

from typing import NamedTuple

from scripted_models.errors import InputError
from scripted_models.tasks.voc.classes import CLASSES


class VocRow(NamedTuple):
    """One printed row.

    Attributes:
        method, source: as printed; paper and table.
        images: what it was scored on.
        pixel_accuracy, mean_accuracy, mean_iu, frequency_weighted_iu: percent; None: not printed.
        seconds: of an image, on the authors' GPU; None: not printed.
        class_iu: percent of each class but the background, in the order of `CLASSES`; empty where
            they are not printed.
    """

    method: str
    source: str
    images: str
    pixel_accuracy: float | None = None
    mean_accuracy: float | None = None
    mean_iu: float | None = None
    frequency_weighted_iu: float | None = None
    seconds: float | None = None
    class_iu: tuple[float, ...] = ()

    @property
    def title(self) -> str:
        """Method, source and, where printed, the time."""
        time = "" if self.seconds is None else f"; {self.seconds:g} s"
        return f"{self.method} ({self.source}{time})"

    @property
    def iu_of(self) -> dict[str, float]:
        """Percent of each printed class."""
        return dict(zip(CLASSES[1:], self.class_iu, strict=True)) if self.class_iu else {}


_LONG, _YU = "Long et al. 2015, table ", "Yu & Koltun 2016, table "
_SUBSET, _VAL11, _TEST11 = "subset of VOC 2011 val", "VOC 2011 val", "VOC 2011 test"
_VAL12, _TEST12 = "VOC 2012 val", "VOC 2012 test"


def _only_iu(
    method: str, source: str, images: str, mean_iu: float, seconds: float | None = None
) -> VocRow:
    return VocRow(method, source, images, mean_iu=mean_iu, seconds=seconds)


def _by_class(method: str, table: int, mean_iu: float, printed: str) -> VocRow:
    """Return a row of Yu & Koltun; `printed` has the IU of the 20 classes."""
    images = {2: _TEST12, 3: _VAL12}[table]
    ius = tuple(map(float, printed.split()))
    return VocRow(method, f"{_YU}{table}", images, mean_iu=mean_iu, class_iu=ius)


PAPER_ROWS = (
    _only_iu("FCN-AlexNet", _LONG + "1", _VAL11, 39.8, 0.05),
    _only_iu("FCN-VGG16", _LONG + "1", _VAL11, 56.0, 0.21),
    _only_iu("FCN-GoogLeNet", _LONG + "1", _VAL11, 42.5, 0.059),
    VocRow("FCN-32s-fixed", _LONG + "2", _SUBSET, 83.0, 59.7, 45.4, 72.0),
    VocRow("FCN-32s", _LONG + "2", _SUBSET, 89.1, 73.3, 59.4, 81.4),
    VocRow("FCN-16s", _LONG + "2", _SUBSET, 90.0, 75.7, 62.4, 83.0),
    VocRow("FCN-8s", _LONG + "2", _SUBSET, 90.3, 75.9, 62.7, 83.2),
    _only_iu("R-CNN", _LONG + "3", _TEST11, 47.9),
    _only_iu("SDS", _LONG + "3", _TEST11, 52.6, 50),
    _only_iu("SDS", _LONG + "3", _TEST12, 51.6, 50),
    _only_iu("FCN-8s", _LONG + "3", _TEST11, 62.7, 0.175),
    _only_iu("FCN-8s", _LONG + "3", _TEST12, 62.2, 0.175),
    _by_class(
        "FCN-8s",
        2,
        62.2,
        "76.8 34.2 68.9 49.4 60.3 75.3 74.7 77.6 21.4 62.5 "
        "46.8 71.8 63.9 76.5 73.9 45.2 72.4 37.4 70.9 55.1",
    ),
    _by_class(
        "DeepLab",
        2,
        62.1,
        "72.0 31.0 71.2 53.7 60.5 77.0 71.9 73.1 25.2 62.6 "
        "49.1 68.7 63.3 73.9 73.6 50.8 72.3 42.1 67.9 52.6",
    ),
    _by_class(
        "DeepLab-Msc",
        2,
        62.9,
        "74.9 34.1 72.6 52.9 61.0 77.9 73.0 73.7 26.4 62.2 "
        "49.3 68.4 64.1 74.0 75.0 51.7 72.7 42.5 67.2 55.7",
    ),
    _by_class(
        "Front end",
        2,
        67.6,
        "82.2 37.4 72.7 57.1 62.7 82.8 77.8 78.9 28.0 70.0 "
        "51.6 73.1 72.8 81.5 79.1 56.6 77.1 49.9 75.3 60.9",
    ),
    _by_class(
        "Front end",
        3,
        69.8,
        "86.3 38.2 76.8 66.8 63.2 87.3 78.7 82.0 33.7 76.7 "
        "53.5 73.7 76.0 76.6 83.0 51.9 77.8 44.0 79.9 66.3",
    ),
    _by_class(
        "Front + Basic",
        3,
        71.3,
        "86.4 37.6 78.5 66.3 64.1 89.9 79.9 84.9 36.1 79.4 "
        "55.8 77.6 81.6 79.0 83.1 51.2 81.3 43.7 82.3 65.7",
    ),
    _by_class(
        "Front + Large",
        3,
        72.1,
        "87.3 39.2 80.3 65.6 66.4 90.2 82.6 85.8 34.8 81.9 "
        "51.7 79.0 84.1 80.9 83.2 51.2 83.2 44.7 83.4 65.6",
    ),
    _by_class(
        "Front end + CRF",
        3,
        71.6,
        "89.2 38.8 80.0 69.8 63.2 88.8 80.0 85.2 33.8 80.6 "
        "55.5 77.1 80.8 77.3 84.3 53.1 80.4 45.0 80.7 67.9",
    ),
    _by_class(
        "Front + Basic + CRF",
        3,
        72.7,
        "89.1 38.7 81.4 67.4 65.0 91.0 81.0 86.7 37.5 81.0 "
        "57.0 79.6 83.6 79.9 84.6 52.7 83.3 44.3 82.6 67.2",
    ),
    _by_class(
        "Front + Large + CRF",
        3,
        73.3,
        "89.6 39.9 82.7 66.7 67.5 91.1 83.3 87.4 36.0 83.3 "
        "52.5 80.7 85.7 81.8 84.4 52.6 84.4 45.3 83.7 66.7",
    ),
    _by_class(
        "Front end + RNN",
        3,
        72.5,
        "88.8 38.1 80.8 69.1 65.6 89.9 79.6 85.7 36.3 83.6 "
        "57.3 77.9 83.2 77.0 84.6 54.7 82.1 46.9 80.9 66.7",
    ),
    _by_class(
        "Front + Basic + RNN",
        3,
        73.1,
        "89.0 38.4 82.3 67.9 65.2 91.5 80.4 87.2 38.4 82.1 "
        "57.7 79.9 85.0 79.6 84.5 53.5 84.0 45.0 82.8 66.2",
    ),
    _by_class(
        "Front + Large + RNN",
        3,
        73.9,
        "89.3 39.2 83.6 67.2 69.0 92.1 83.1 88.0 38.4 84.8 "
        "55.3 81.2 86.7 81.3 84.3 53.6 84.4 45.8 83.8 67.0",
    ),
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
