"""The sections of the module's panel; the only part of the library that uses Qt.

`BrainTumorSeg.py` makes one of each and gives it the widgets of the .ui file. Each follows the
parameters of the scene by its `setParameterNode`.
"""
