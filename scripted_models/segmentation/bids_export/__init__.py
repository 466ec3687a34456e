"""Results as a BIDS derivative, version 1.11 (bids-specification, "Imaging derivatives").

May be called from outside: `derivatives.Derivatives` is the form in which a batch writes results.

Inside: `derivative_description` judges and writes dataset_description.json, `names` gives files
their names, `derivative_files` writes them, `contents` makes tables and sidecars.
"""
