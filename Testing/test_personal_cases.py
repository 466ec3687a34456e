"""Which of a user's cases are held out, and what the scores before and after say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from personal_fixtures import GRID, store_cases, volumes_of

from scripted_models.bundle.weights import load_model
from scripted_models.cases.case_writer import store_case
from scripted_models.errors import InputError
from scripted_models.evaluation.folder_scores import COLUMNS, Evaluation
from scripted_models.experiments.personal_cases import split_personal
from scripted_models.experiments.personal_experiment import personal_experiment
from scripted_models.experiments.personal_scores import BeforeAfter


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    store_cases(folder, range(5))
    return folder


def scored(**dice):
    """Return the evaluation of three cases with one Dice for each region."""
    row = dict.fromkeys(COLUMNS, 0.0)
    cases = {n: {r: {**row, "dice": value} for r, value in dice.items()} for n in "abc"}
    return Evaluation("it", cases)


class TestDoubts:
    @pytest.mark.parametrize(
        ("after", "better", "words"),
        [
            ({"WT": 0.95, "TC": 0.9, "ET": 0.8}, True, []),
            ({"WT": 0.99, "TC": 0.9, "ET": 0.65}, True, ["(ET) is worse", "0.650 instead of 0.7"]),
            ({"WT": 0.9, "TC": 0.8, "ET": 0.712}, True, ["A gain of 0.004 in the mean Dice"]),
            ({"WT": 0.9, "TC": 0.8, "ET": 0.701}, False, None),  # 0.8 and 0.8 as they are shown
            ({"WT": 0.9, "TC": 0.8, "ET": 0.6}, False, None),
        ],
    )
    def test_what_somebody_must_know_who_takes_it(self, after, better, words):
        before = scored(WT=0.9, TC=0.8, ET=0.7)
        scores = BeforeAfter("s", before, scored(**after), ("x", "y"), ("a", "b", "c"))
        assert scores.is_better is better
        if words is not None:
            assert all(word in " ".join(scores.doubts) for word in words)
            assert bool(words) == bool(scores.doubts)


class TestSplit:
    @given(seed=st.integers(0, 1000), seen=st.sets(st.sampled_from(range(1, 6)), max_size=4))
    def test_a_fifth_that_the_start_model_never_saw(self, cases, seed, seen):
        names = {f"case{number:03d}" for number in seen}
        split = split_personal(cases, seed, names)
        assert len(split.held_out) == 1
        assert not set(split.held_out) & (names | set(split.train))
        assert set(split.train) | set(split.held_out) == set(split.cases)
        assert split_personal(cases, seed, names) == split

    def test_other_seeds_hold_out_others(self, cases):
        assert len({split_personal(cases, seed).held_out for seed in range(20)}) == 5

    def test_all_seen(self, cases):
        with pytest.raises(InputError, match="only cases that have trained the start model"):
            split_personal(cases, 0, [f"case{n:03d}" for n in range(1, 6)])

    def test_visits_stay_together_and_uncorrected_cases_train(self, tmp_path):
        store_cases(tmp_path, range(10))
        for seed in (20, 21):
            volumes, labels = volumes_of(seed)
            store_case(tmp_path, volumes, (labels, GRID), same_patient_as="case003")
        (uncorrected,) = store_cases(tmp_path, [30], corrected=False)
        for seed in range(12):
            split = split_personal(tmp_path, seed)
            assert uncorrected in split.train
            assert any(f"{uncorrected} were stored" in text for text in split.warnings)
            visits = {name for name in split.cases if name.startswith("case003")}
            assert len(visits) == 3
            assert visits <= set(split.train) or visits <= set(split.held_out)
            assert len({name[:7] for name in split.held_out}) == 2

    def test_the_experiment_is_the_shipped_recipe_from_the_model_on(self):
        model = load_model("default")
        experiment = personal_experiment(model, ("a", "b", "c", "d"), ("e",), "cpu", [])
        assert experiment.network.arguments == dict(model.description.network.arguments)
        assert experiment.decision == model.description.decision
        assert experiment.weights == "float16"
        assert experiment.data.phantoms + experiment.data.low_grade_phantoms == 4
        assert (experiment.data.train, experiment.data.test) == (("a", "b", "c", "d"), ("e",))
        assert experiment.data.validation_every == 0
        assert "drop_sequences" in [step["step"] for step in experiment.training.augmentation]
        assert experiment.training.start_share == 0.5
        assert experiment.training.phase1.learning_rate < 0.001
