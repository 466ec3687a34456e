"""What the user should know about the visits together."""

import re
from collections.abc import Sequence

from scripted_models.cases.time_points import is_time_point, without_time_point
from scripted_models.errors import listed
from scripted_models.follow_up.alignment import Alignment
from scripted_models.follow_up.visit_data import Visit


def doubts_of_visits(
    visits: Sequence[Visit], alignments: Sequence[Alignment], wanted: str, region: str
) -> list[str]:
    """Return what the user should know, as sentences."""
    told = [note for visit in visits for note in visit.notes]
    told += [problem.sentence for alignment in alignments for problem in alignment.problems]
    names = {visit.name for visit in visits if not re.fullmatch("[A-Za-z]?[0-9]{1,2}", visit.name)}
    stems = {without_time_point(name) for name in names}
    named = sorted(stem for stem in stems if re.search(r"\d", stem) and not is_time_point(stem))
    if len(named) > 1:
        told.append(
            f"Found names of {len(named)} patients ({listed(named)}), expected one; check that all "
            "visits are of the same patient."
        )
    patients = dict.fromkeys(visit.patient for visit in visits if visit.patient)
    if len(patients) > 1:
        told.append(
            f"Found {len(patients)} patient numbers in DICOM, expected one; check that all visits "
            "are of the same patient."
        )
    if region == "WT" and wanted == "auto":
        told.append(
            "No visit has enhancing tumor that all can tell: the lesions are those of the whole "
            "tumor."
        )
    return told
