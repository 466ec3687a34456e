"""Data sets in BIDS, the Brain Imaging Data Structure, version 1.11 (bids-specification).

May be called from outside: `data_set.find_data_set` tells whether a folder is one, and
`session_images.read_images` which of its files are the sequences of which session.

Inside: `ignore_file` reads .bidsignore, `sidecars` the JSON files beside images, `session_dates`
the tables of sessions and scans.
"""
