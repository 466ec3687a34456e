"""Cases: which files of a folder belong to which patient."""
