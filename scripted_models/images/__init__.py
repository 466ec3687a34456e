"""Volumes as files and as voxels: reading, writing, checks, training space.

May be called from outside:
`volume_files` reads and writes volumes and label maps. `checks` gives findings about volumes that
`voxel_facts` has looked at. `training_space` is the way to a network and back. `contrast` compares
the volumes of one patient. `nifti.forms_apart_mm` compares the two placements of a NIfTI header.

Inside: `integrity` compares the bytes of a file with its header, which `headers` reads. A
`payload` is what a header announces; `nifti`, `meta_image` and `nrrd` know one format each.
"""
