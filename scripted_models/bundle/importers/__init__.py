"""Models of other programs, read as data and written as model folders of ours.

    source          the files of a folder, a zip file or a single file
    answers         what the user says because the file does not
    foreign_words   names of channels, labels and regions in other programs
    networks        the networks that are known, and what may stand in their arguments
    space           orientation and spacing of the volumes that trained a model
    monai_bundle    MONAI bundle (`monai_steps`: before and after its network)
    auto3dseg       `model.pt` of Auto3DSeg
    nnunet_model    folder of nnU-Net version 2 (`nnunet_plans`, `nnunet_labels`,
                    `nnunet_folds`)
    foreign_model   what was understood, and the model folder made of it
    formats         which format a file has

Nothing of a file is executed. What an importer does not know it refuses in one sentence; what the
file does not say it asks. Each of the formats is described in docs/foreign-models.md.
"""
