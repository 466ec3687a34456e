"""Scores of label maps against ground truth.

`folder_scores` scores a folder of predictions, which `pairing` matches with the ground truth;
`metrics` has the metrics of a region, `confusion` the one confusion matrix, of any classes;
`challenge_scores` has those of the BraTS challenges, lesion by lesion, with the surfaces of
`surfels`. `score_notes` says what readers must know of them.
`havaei_rows` holds what Havaei et al. print, `paper_tables` and `experiment_rows` set scores and
experiments beside it, `confidence_table` compares the estimated with the measured Dice. From
outside call `evaluate_folders` and what writes tables.
"""
