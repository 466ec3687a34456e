"""Segmenting: a case in, a label map with all that is known of it out.

`segmenter.Segmenter` is the one entrance: load once, segment many cases, nothing is written.
`batch.Batch` segments cases into a folder and knows what is done already; `outputs` says what a
case leaves there. `steps` are those from volumes to labels, which `bundle_transforms` hands to
MONAI's bundle runner. `case_images` reads volumes for pictures and measurements, too. The other
modules (`result`, `quality_estimate`, `tumor_size`) hold what is said about a segmentation.
"""
