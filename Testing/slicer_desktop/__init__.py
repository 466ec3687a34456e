"""A stand-in for the Slicer desktop: the module's panel runs in a real Qt window without Slicer.

Real: Qt (PySide6) with its event loop, timers, painting and the module's own ``.ui`` file. The MRML
scene, nodes and ``slicer.util`` of slicer-core. The child processes. All code of the module.

Imitated, as small as the module needs: PythonQt's manners (`qt_names`), the widgets of CTK and MRML
that Qt lacks (`widgets`), the parameter node wrapper (`parameters`), the application object, its
dialogs and the base classes of scripted modules (`application`).

Not tested therefore: PythonQt itself, Slicer's own widgets and their connectors, slice and 3D
views, the Segment Editor, the launcher of PythonSlicer, the extension manager.
"""
