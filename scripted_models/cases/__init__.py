"""Cases: which files of a folder belong to which patient.

May be called from outside:
`discovery.find_cases` gives a `case.Case` for each patient and time point, and
`skipped_files.skipped_files` what is in none. `patients` tells which cases are of one patient and
splits them; `patient_table` reads a table that says so. `label_maps.read_labels` reads a label map
with the meaning that it or a file beside it states. `sequence_assignment` tells which of some
loosely named volumes is which sequence. `phantom` makes artificial patients.

Inside: `naming` reads strict file names and `sequence_names` loose ones, `loose_files` a folder of
loose ones. `msd` reads data sets with a dataset.json, `sequence_folders` folders named by sequence.
"""
