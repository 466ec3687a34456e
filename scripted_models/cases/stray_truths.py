"""Label maps that could be a ground truth by the end of their names: whose, and by whom."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripted_models.cases.naming import OF_NO_KNOWN_FORM
from scripted_models.errors import phrases
from scripted_models.sequences import name_tokens

# Words between a case's name and 'seg', or of a folder, that tell of no expert: who made a label
# map, and in which state it is.
_RESULTS = re.compile(
    r"pred\w*|auto\w*|nnu?net\w*|\w*(?:unet|resnet|vnet|cnn)\w*|swin\w*|models?|infer\w*|outputs?|out|results?|submissions?|"
    r"\w*ensemble\w*|deep\w*|glistrboost|hdglio|hd|synthseg|raidionics|runs?|"
    r"folds?|experiments?|checkpoints?|ckpts?|epochs?|medsam|mednext|segmamba"
)
_NO_TRUTH = re.compile(
    _RESULTS.pattern
    + r"|old|backup|bak|draft|rough|temp|tmp|test|debug|prelim\w*|initial|v\d+|copy|"
    r"aseg|aparc\w*|parc|atlas|prob\w*|ventric\w*|tissues?|vessels?|brain|skull|hippo\w*|thalam\w*|"
    r"cortex|cerebell\w*|wm|gm|csf|matter|hem\w*|haem\w*|stroke|infarct|lesions?|organs?|eyes?|"
    r"uncertain\w*|final"
)
_MISNAMED = re.compile(r"w\d+_\d{4}\.\d\d\.\d\d")  # the label map of BraTS 2020 case 355

_ = phrases(__name__)


class StrayTruths:
    """Decides which label maps without images of their own name are left out, and says so.

    Args:
        root: folder that is searched.
        images: folder and stem of each case with images.
        ignored: receives files with the reason.
    """

    def __init__(
        self, root: Path, images: Iterable[tuple[Path, str]], ignored: list[tuple[Path, str]]
    ):
        self.root, self.ignored = root, ignored
        self.stems: set[str] = set()
        self.folders: set[Path] = set()
        for folder, stem in images:
            self.stems.add(stem.lower())
            self.folders.update((folder, *folder.parents))

    def leave_out_results(self, folder: Path, files: Sequence[tuple[str, Path]]) -> bool:
        """Leave out what lies in a folder of results that has no images."""
        for parent in (folder, *folder.parents):
            if parent == self.root or self.root not in parent.parents or parent in self.folders:
                return False
            if any(_RESULTS.fullmatch(token) for token in name_tokens(parent.name)):
                words = _("'{folder}' is a folder of results by its name")
                return self._leave_out(files, words.format(folder=parent.name))
        return False

    def leave_out_by_name(
        self, stem: str, files: Sequence[tuple[str, Path]], strange: bool
    ) -> bool:
        """Leave out what has a further word between the case's name and 'seg', or is no truth.

        Args:
            stem: of the files.
            files: kinds and paths.
            strange: whether the stem is not the name of the case that the files lie beside.
        """
        if strange or self._extends_a_case(stem) or says_no_truth(stem):
            return self._leave_out(files, OF_NO_KNOWN_FORM)
        return False

    def _extends_a_case(self, stem: str) -> bool:
        ends = (sign.start() for sign in re.finditer(r"[ ._+-]", stem))
        return any(stem[:end].lower() in self.stems for end in ends if end)

    def _leave_out(self, files: Sequence[tuple[str, Path]], why: str) -> bool:
        self.ignored += [(path, why) for _kind, path in files]
        return True


def is_stem_of(stem: str, folder: Path) -> bool:
    """Tell whether a label map's stem fits the one case of a folder with the case's name."""
    return stem.lower() in ("", folder.name.lower()) or bool(_MISNAMED.fullmatch(stem.lower()))


def says_no_truth(stem: str) -> bool:
    """Judge the words behind the last number of a stem, and the first one."""
    tokens = name_tokens(stem)
    last = max((i for i, token in enumerate(tokens) if re.search(r"\d", token)), default=-1)
    return any(_NO_TRUTH.fullmatch(token) for token in tokens[last + 1 :]) or any(
        _RESULTS.fullmatch(token) for token in tokens[:1]
    )
