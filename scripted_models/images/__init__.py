"""Volumes as files and as voxels: reading, writing, checks, training space.

May be called from outside:
`volume_files` reads and writes volumes and label maps. `checks` gives findings about volumes that
`voxel_facts` has looked at. `header_findings` says what the headers of a case leave open.
`training_space` is the way to a network and back, `spacing_change` that of nnU-Net. `contrast`
compares the volumes of one patient.

Inside: `headers` judges the header of any file, with one module for each format: `nifti` (with
`nifti_forms`), `meta_image` and `nrrd`. `axes` judges where they lead, `payload` is what a header
announces. `voxels` reads exactly that through `compression`; `integrity` checks the file itself.
"""
