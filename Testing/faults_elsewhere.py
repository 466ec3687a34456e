"""Faults that other tests do, or that cannot be done here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Elsewhere:
    """A fault that another test does, or that cannot be done here.

    Attributes:
        number: in the list of 62.
        what: what happens to the user.
        answer: what the program does.
        test: "file::test" in this folder, or the reason why there is none.
    """

    number: int
    what: str
    answer: str
    test: str


ELSEWHERE = (
    Elsewhere(15, "network paths of Windows (UNC)", "passed on as they are", "none: needs Windows"),
    Elsewhere(
        26,
        "in Slicer: a volume that does not overlap",
        "the panel names it, Run stays off",
        "test_slicer_input_check.py::"
        "test_voxels_are_read_again_only_after_a_change_and_moves_are_seen",
    ),
    Elsewhere(
        24,
        "in Slicer: volumes on different grids",
        "resampled to the reference, and said",
        "test_slicer_volume_export.py::test_other_grids_are_resampled_in_physical_space",
    ),
    Elsewhere(
        36,
        "in Slicer: a linear transform above all volumes",
        "applied to the grid",
        "test_slicer_volume_export.py::"
        "test_rigid_transform_of_all_moves_the_grid_and_keeps_the_voxels",
    ),
    Elsewhere(
        36,
        "in Slicer: a bent transform above a volume",
        "applied as hardening would",
        "test_slicer_volume_export.py::test_warped_volume_equals_the_hardened_one",
    ),
    Elsewhere(
        51,
        "T1 and T1c, or any two, exchanged",
        "a warning names both, nothing is changed",
        "test_checks.py::test_exchanged_sequences_are_told",
    ),
    Elsewhere(
        52,
        "names in every order and spelling (t1n, t1ce, t1gd, t2f, t2w)",
        "read as what they are",
        "test_naming.py::test_every_alias_behind_every_sign_in_any_case",
    ),
    Elsewhere(
        53,
        "a volume of another patient on the same grid",
        "a warning names it",
        "test_checks.py::test_a_volume_of_another_patient_is_told",
    ),
    Elsewhere(
        61,
        "the GPU runs out of memory",
        "fewer slices, half precision, the CPU; the report says so",
        "test_memory.py::test_cpu_takes_over_and_says_so",
    ),
    Elsewhere(
        61,
        "cancelled while the network works",
        "exit code 130, nothing is left",
        "test_segment.py::test_cancelled_run_leaves_nothing",
    ),
    Elsewhere(
        61,
        "training killed at any moment",
        "--resume ends with the same weights",
        "test_training.py::test_killed_and_resumed_gives_the_same_bits",
    ),
    Elsewhere(
        61,
        "resumed by a newer version",
        "settings it did not have take their defaults",
        "test_training.py::test_a_run_from_before_a_setting_existed_resumes_with_its_default",
    ),
    Elsewhere(
        61,
        "a clock that goes backwards",
        "times are taken from a clock that does not",
        "test_cli.py::test_remaining_time_leaves_out_what_was_done_before",
    ),
    Elsewhere(
        62,
        "one of several training processes dies",
        "the job ends with an error",
        "test_distributed.py::test_a_dead_process_ends_the_job",
    ),
    Elsewhere(
        62,
        "bad input in a job of several processes",
        "one sentence, all processes end",
        "test_distributed.py::test_bad_input_ends_all_processes_with_a_sentence",
    ),
    Elsewhere(
        62,
        "a loss of NaN",
        "the run ends with a sentence",
        "test_recipe.py::test_a_loss_that_explodes_ends_the_run_with_a_sentence",
    ),
    Elsewhere(
        62,
        "0 and several loader processes",
        "the same weights",
        "test_recipe.py::test_loader_processes_change_nothing",
    ),
    Elsewhere(
        68,
        "an input replaced by a file with an older date, --continue",
        "segmented again",
        "test_batch.py::test_fewer_or_other_inputs_are_not_whatever_their_dates",
    ),
    Elsewhere(
        68,
        "more, fewer or changed cases, --resume",
        "one sentence names them",
        "test_resumed_data.py::test_more_cases",
    ),
    Elsewhere(
        68,
        "another folder of pictures of the same names into one output",
        "one sentence names both",
        "test_voc_training.py::test_another_folder_with_pictures_of_the_same_names",
    ),
    Elsewhere(
        73,
        "weights that grow beyond all numbers",
        "one sentence, no model is left",
        "test_first_checks.py::test_a_network_that_grows_beyond_numbers_leaves_no_model",
    ),
)
