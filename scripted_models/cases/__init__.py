"""Cases: which files of a folder belong to which patient.

May be called from outside:
`discovery.find_cases` gives a `case.Case` for each patient and time point. `patients` tells which
cases are of one patient and splits them. `sequence_assignment` tells which of some loosely named
volumes is which sequence. `phantom` makes artificial patients.

Inside: `naming` reads strict file names and `sequence_names` loose ones, `loose_files` a folder of
loose ones. `msd` reads the data set of the Medical Segmentation Decathlon.
"""
