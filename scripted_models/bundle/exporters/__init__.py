"""Models for other programs, one file a format.

    formats           the formats, and a model written whole or not at all
    traced_network    a network as a graph that serves images of other sizes, too
    interface         what goes in and what comes out, as a table
    onnx_file, torchscript_file, monai_bundle    the formats

What is written of a model is its network and what is said about it. Nothing here runs what another
program wrote.
"""
