"""How large tumors and lesions are: volumes, diameters, connected lesions.

volumes      voxels and mL of labels and regions
diameters    the two diameters of an axial slice
lesions      connected lesions, numbered by volume
"""
