"""Models for other programs, one file a format.

    exported_model     a model written whole or not at all, in any of the formats
    traced_network     a network as a graph that serves images of other sizes, too
    interface          what goes in and what comes out, as a table
    onnx_file, torchscript_file, bundle_for_monai    the formats
    whole_volume       planes, neighboring slices and windows in TorchScript

What is written of a model is its network and what is said about it. Nothing here runs what another
program wrote.
"""
