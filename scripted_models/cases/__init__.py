"""Cases: which files of a folder belong to which patient.

May be called from outside:
`discovery.find_cases` gives a `case.Case` for each patient and time point, and
`skipped_files.skipped_files` what is in none. `patients` tells which cases are of one patient and
splits them; `patient_table` reads a table that says so. `selection.chosen` takes some of the cases,
and `selection_options` has the options of the command line for that.
`label_maps.read_labels` reads a label map with the meaning that it or a file beside it states.
`sequence_assignment` tells which of some loosely named volumes is which sequence.
`case_writer.store_case` stores a corrected segmentation as a training case, and
`nnunet_data_set.write_data_set` cases as a data set of nnU-Net. `phantom` makes artificial
patients.

Inside: `sequence_names` is the one reader of names, with the vocabulary of `name_words`;
`name_tokens` cuts names into words and `contrast_words` judges T1 with and without contrast medium.
`naming` tells where in a file name its role begins, and which forms are a ground truth.
`stray_truths` leaves out label maps of no expert, `ignored_files` says so, `case_files` joins the
files of a case and `loose_files` reads a folder of loosely named ones. `dicom` reads studies as
scanners write them, `bids` data sets of this standard. `msd` reads data sets with a dataset.json,
`sequence_folders` folders that are named by sequence. `time_points` finds the time point in a name.
`label_statements` and `slicer_segments` read what is stated about labels, with the words of
`label_names`.
"""
