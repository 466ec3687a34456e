"""Phantoms: artificial heads with gliomas and known labels, each from a seed alone.

May be called from outside: `phantom_case` makes a phantom and writes it as a case folder.

Inside: `noise` is smooth and periodic, `shapes` are distances to bodies. `anatomy` is the healthy
head, `glioma` the tumor in it, and `scanner` gives both their signal in the four sequences.
"""
