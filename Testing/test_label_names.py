"""Names of labels, as data sets and people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted_models.cases.label_names import Meaning, coding_of, meaning_of

# What a name means: label, or region with the label of what is in no smaller region; * merged.
NAMES = {
    "0": "background|Background|bg|brain|normal brain|Ventricles|CSF|no tumor|healthy tissue",
    "1": "necrosis|Necrotic|NCR|necrotic core|necrotic tumor core|Necrotic tumor core (NCR)|tumour "
    "necrosis|Necrosis_1|cyst|cystic component (CC)|Necrotic/cystic core|1 - necrosis|NCR/ECM",
    "1*": "NCR/NET|NCR_NET|NCR & NET|ncr+net|necrotic and non-enhancing tumor core|NETC|"
    "Non-enhancing tumor core|necrosis/non-enhancing|non-enhancing and necrotic tumor",
    "2": "edema|Oedema|oedema|ED|peritumoral edema|Peritumoural oedema|vasogenic edema|SNFH|"
    "peritumoral edematous/invaded tissue (ED)|edema/infiltration|Edema region|"
    "Surrounding non-enhancing FLAIR hyperintensity (SNFH)|label_edema|2: Edema",
    "3": "non-enhancing|Non-enhancing tumor|nonenhancing tumour|NET|NonEnhancing|non enhancing|"
    "solid non-enhancing tumor|unenhanced tumor|non-contrast-enhancing tumor",
    "4": "enhancing|ET|Enhancing tumor|enhancing tumour|GD-enhancing tumor (ET)|contrast-enhancing|"
    "Enhancement|AT|active tumor|enhancing core|ENHANCING_TUMOR|EnhancingTumor|Enhancing Lesion",
    "5": "Resection cavity|RC|resection cavity (RC)|surgical cavity|post-op cavity|Cavity",
    "WT": "whole tumor|Whole tumor region|WT|complete tumour|whole_tumor|Whole Tumor (WT)|tumor",
    "TC": "tumor core|TC|Tumour core|core|tumor core region|Tumor Core (TC)",
    "ET": "enhancing tumor region|Enhancing region",
    "": "Segment_1|label1|foo|residual tumor|hole|necrosis and edema|enhancing tumor and edema|1||"
    "hippo|infiltrating tumor|tumor bed|T1|enhancing (edema)|not edema at all",
}
ROWS = [(name, meaning) for meaning, names in NAMES.items() for name in names.split("|")]
REGION_LABEL = {"WT": 2, "TC": 1, "ET": 4}


@pytest.mark.parametrize(("name", "meaning"), ROWS)
def test_name(name, meaning):
    found = meaning_of(name)
    if meaning in REGION_LABEL:
        assert found == Meaning(REGION_LABEL[meaning], meaning)
    elif meaning:
        assert found == Meaning(int(meaning[0]), merged="*" in meaning)
    else:
        assert found is None


@given(
    st.sampled_from([row for row in ROWS if row[1]]), st.sampled_from(["upper", "lower", "title"])
)
def test_capitals_and_signs_between_words_say_nothing(row, case):
    name = getattr(row[0], case)()
    for sign in "_- ":
        assert meaning_of(name.replace(" ", sign)) == meaning_of(row[0].lower())


@given(st.text(max_size=300))
def test_any_text_is_read_in_short_time(text):
    assert meaning_of(text) is None or isinstance(meaning_of(text), Meaning)


def coding(**values):
    return coding_of({int(value[1:]): meaning_of(name) for value, name in values.items()}, "x")


def test_known_tables_are_known_codings():
    assert coding(v1="edema", v2="non-enhancing tumor", v3="enhancing tumour").name == "msd"
    assert coding(v1="NCR/NET", v2="ED", v4="ET").name == "brats2021"
    assert coding(v1="NCR", v2="ED", v3="ET").name == "brats2023"
    assert coding(v1="necrosis", v2="edema", v3="NET", v4="ET").name == "brats2013"


def test_regions_that_a_table_tells():
    assert coding(v1="edema", v2="tumor core").regions == ("WT", "TC")
    assert coding(v1="whole tumor", v2="tumor core").regions == ("WT", "TC")
    assert coding(v1="edema", v2="enhancing").regions == ("ET",)
    assert coding(v1="tumor").regions == ("WT",)
    assert coding(v1="enhancing").regions == ("ET",)
    assert coding(v1="whole tumor", v2="tumor core", v3="ET").regions == ("WT", "TC", "ET")
