"""How large tumors and lesions are: volumes, diameters, connected lesions.

volumes      voxels and mL of labels and regions
diameters    the two diameters of an axial slice
crosses      two perpendicular lines in a plane; `inner_crosses` has those that stay inside
lesions      connected lesions, numbered by volume
lesion_table lesions as rows
"""
