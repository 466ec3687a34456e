"""DICOM: from a folder of files to cases whose sequences are series.

May be called from outside:
`studies.dicom_cases` gives a case for each study of each patient.
`named_series` takes what the user names for one sequence.

Inside: `attributes` reads files with pydicom, `stacks` puts slices in order and judges them,
`weighting` tells from attributes what a series is or is not. `judged_series` joins that with the
description by the one reader of names, and `chosen_series` decides between several.
`media_directory` compares a DICOMDIR with what is there.
"""
