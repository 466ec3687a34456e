"""Brains: cases of the BraTS years and phantoms.

`brains_task` is the task. `case_split` splits cases by patient, `case_preparation` preprocesses
them, `contrast_suppression` takes enhancement out of copies, `validation` scores an epoch.
`held_out_cases` and `shared_batch` segment and score the test cases of a list. From outside call
`usable_cases`, `remove_enhancement` and `segment_shared`; the rest serves the task.
"""
