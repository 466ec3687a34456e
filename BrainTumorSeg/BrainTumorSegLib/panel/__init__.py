"""The sections of the module's panel; the only part of the library that uses Qt.

`BrainTumorSeg.py` makes one of each and gives it the widgets of the .ui file. Each follows the
parameters of the scene by its `setParameterNode`.
"""

from .batch_section import BatchSection
from .cases_section import CasesSection
from .follow_section import FollowSection
from .input_section import InputSection
from .lesion_section import LesionSection
from .messages import Messages
from .model_section import ModelSection
from .result_section import ResultSection
from .review_section import ReviewSection
from .run_section import RunSection

__all__ = [
    "BatchSection",
    "CasesSection",
    "FollowSection",
    "InputSection",
    "LesionSection",
    "Messages",
    "ModelSection",
    "ResultSection",
    "ReviewSection",
    "RunSection",
]
