"""How large tumors and lesions are: volumes, diameters, connected lesions.

volumes      voxels and mL of labels and regions
diameters    the two diameters of an axial slice
crosses      two perpendicular lines in a plane; `inner_crosses` has those that stay inside
lesions      connected lesions, numbered by volume
inscribed_ball  how thick a region is
lesion_table lesions as rows and for report.json
"""
