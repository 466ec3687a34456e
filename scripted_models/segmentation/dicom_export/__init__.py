"""DICOM out: a segmentation as DICOM SEG and its measurements as DICOM SR (TID 1500).

    codes                the parts of a tumor: name, color and code; Slicer's segments, too
    algorithm            what made a result, as DICOM identifies it
    source_images        the headers of the series on whose grid a result lies
    segmentation_object  the SEG
    measurement_report   the SR
    exported_files       both as files; whether a series can be exported

May be called from outside: `codes`, `algorithm.Algorithm`, and what `exported_files` offers.
pydicom and highdicom (`[dicom]`) are imported when something is exported, `codes` needs neither.
"""
