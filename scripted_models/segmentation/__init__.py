"""Segmenting: a case in, a label map with all that is known of it out.

    segmenter         `Segmenter`, the one entrance: load once, segment many cases, write nothing
    batch             `Batch`: cases into a folder, with the rule of what is done already
    outputs           what a case leaves on disk
    dicom_output      the result on a DICOM series, for `dicom_export`
    dicom_export      DICOM SEG and SR; names, codes and colors of the parts of a tumor
    bids_export       results as a BIDS derivative
    case_inputs       the identity of a case: the content of its files
    case_images       volumes of a case on one grid; pictures and measurements read by it, too
    volume_steps      from volumes to labels, apart from the network
    bundle_transforms the same steps for MONAI's bundle runner
    result            `Segmentation`, what was found
    quality_estimate  how sure the network is
    crf_files         the dense CRF on probabilities in files

All public names may be called; for label maps call `Segmenter.segment` or `Batch.run`.
"""
