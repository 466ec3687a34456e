import base64
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import jinja2
import numpy as np
import pytest
import SimpleITK as sitk

from scripted_models.errors import ResourceError
from scripted_models.geometry import Grid
from scripted_models.measurement.lesion_table import lesion_record
from scripted_models.measurement.lesions import find_lesions
from scripted_models.pictures.render import png_bytes
from scripted_models.reporting.case_report import CaseReport
from scripted_models.reporting.html_report import (
    NOT_FOR_DIAGNOSIS,
    html_report,
    worst_first,
    write_html_report,
)
from scripted_models.reporting.rendering import render

HOSTILE = "<script>alert('x')</script>\"&'><img src=http://evil.example/a.png>"
VOID = {"meta", "img", "br", "hr", "link", "input"}
PICTURE = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


class Page(HTMLParser):
    """Collects tags, attributes and texts; fails on tags that close in the wrong order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)

    def values(self, name):
        return [value for _, attribute, value in self.attributes if attribute == name]


def scores(dice=0.8, **changed):
    row = {"dice": dice, "sensitivity": 0.75, "ppv": 0.85, "specificity": 0.9987, "hd95_mm": 4.25}
    return {region: row | changed for region in ("WT", "TC", "ET")}


def case(name="case_a", dice=0.8, **changed):
    values = {
        "picture": PICTURE,
        "montage": png_bytes(PICTURE[::-1].copy()),
        "volumes_ml": {"necrosis": 3.456, "edema": 41.26, "WT": 51.5, "ET": 7.0},
        "metrics": scores(dice),
        "facts": {"model": "Net-1", "device": "cpu", "seconds": {"read": 1.0, "network": 20.0}},
    }
    return CaseReport(name, **(values | changed))


class TestContent:
    def test_case_is_told_completely(self):
        page = Page(html_report([case(warnings=["flair was resampled"])], "My title"))
        for part in (
            "My title",
            "Net-1",
            "cpu",
            "read 1.0, network 20.0, total 21.0",
            "3.46",
            "41.3",
        ):
            assert part in page.text
        for part in ("0.800", "0.750", "0.850", "0.9987", "4.2", "flair was resampled", "Edema"):
            assert part in page.text
        assert NOT_FOR_DIAGNOSIS in page.text

    def test_pictures_are_inside_and_whole(self, tmp_path):
        page = Page(html_report([case()], "t"))
        sources = page.values("src")
        assert len(sources) == 2
        for source, expected in zip(sources, (PICTURE, PICTURE[::-1]), strict=True):
            (tmp_path / "p.png").write_bytes(base64.b64decode(source.split(",", 1)[1]))
            read = sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "p.png"))
            assert np.array_equal(read, expected)

    def test_without_truth_there_are_no_scores(self):
        page = Page(html_report([case(metrics=None)], "t"))
        assert "Dice" not in page.text
        assert "Agreement" not in page.text
        assert "51.5" in page.text

    def test_true_volume_stands_beside_the_predicted_one(self):
        page = Page(html_report([case(metrics=scores(truth_ml=66.6))], "t"))
        assert "66.6" in page.text
        assert "66.6" not in Page(html_report([case()], "t")).text

    def test_diameters_of_the_enhancing_region_stand_below_the_volumes(self):
        measured = {"voxels": 900, "volume_ml": 0.9, "longest_mm": 41.26, "perpendicular_mm": 9.04}
        text = Page(html_report([case(measurements={"ET": measured})], "t")).text
        assert "41.3 x 9.0 mm" in text
        without = {"ET": {"voxels": 0, "volume_ml": 0.0}}
        assert "axial" not in Page(html_report([case(measurements=without)], "t")).text

    def test_lesions_have_a_table_that_says_what_is_not_measurable(self):
        labels = np.zeros((8, 40, 40), np.uint8)
        labels[1:5, 2:18, 2:18] = labels[5:8, 30:35, 30:35] = labels[0, 39, 39] = 4
        lesions = lesion_record(find_lesions(labels, Grid((40, 40, 8)), labels >= 0))
        page = Page(html_report([case(lesions=lesions)], "t"))
        largest = lesions["items"][0]["diameters"]
        for part in (
            f"{largest['longest_mm']:.1f} x {largest['perpendicular_mm']:.1f}",
            "right",
            "left",
            "yes",
            f"no: {lesions['items'][1]['shortcoming']}",
            "do not cross necrosis",
            "1 part below 0.05 mL, together 0.00 mL, left out",
        ):
            assert part in page.text
        assert "Lesions" not in Page(html_report([case()], "t")).text

    def test_unknown_and_infinite_values(self):
        text = Page(html_report([case(metrics=scores(math.nan, hd95_mm=math.inf))], "t")).text
        assert "nan" not in text
        assert "–" in text
        assert "∞" in text

    def test_mean_ignores_unknown_values(self):
        cases = [case("a", 0.4), case("b", 0.6), case("c", math.nan)]
        foot = html_report(cases, "t").split("<tfoot>")[1]
        assert re.search(r"Mean</th><td>0\.500</td>", foot)

    def test_bare_case_and_no_case(self):
        assert "bare" in Page(html_report([CaseReport("bare")], "t")).text
        assert "No case" in Page(html_report([], "t")).text

    def test_facts_of_all_cases_are_told_once(self):
        page = Page(html_report([case("a"), case("b")], "t"))
        assert page.texts.count("Net-1") == 1
        mixed = [case("a"), case("b", facts={"model": "Net-2"})]
        page = Page(html_report(mixed, "t"))
        assert (page.text.count("Model: Net-1"), page.text.count("Model: Net-2")) == (1, 1)

    def test_own_facts_are_shown(self):
        assert {"Fold", "3"} <= set(Page(html_report([case()], "t", facts={"fold": 3})).texts)

    def test_regions_have_the_names_of_the_field(self):
        texts = Page(html_report([case()], "t")).text
        assert "WT whole tumor, TC tumor core, ET enhancing tumor." in texts
        assert texts.count("Whole tumor (WT)") == 2  # volumes, scores
        for word in ("Wt", "truth (outline)", "the truth", "true tumor"):
            assert word not in texts


class TestOrder:
    def test_worst_case_comes_first(self):
        cases = [case("good", 0.9), case("bad", 0.1), case("fair", 0.5)]
        assert [c.name for c in worst_first(cases)] == ["bad", "fair", "good"]
        text = Page(html_report(cases, "t")).text
        assert text.index("bad") < text.index("fair") < text.index("good")

    def test_unscored_cases_follow_with_warnings_first(self):
        cases = [
            case("quiet", metrics=None),
            case("warned", metrics=None, warnings=["w"]),
            case("undefined", math.nan, warnings=["w", "w"]),
            case("good", 1.0),
        ]
        assert [c.name for c in worst_first(cases)] == ["good", "undefined", "warned", "quiet"]

    def test_links_lead_to_sections(self):
        page = Page(html_report([case("a", 0.9), case("b", 0.1)], "t"))
        links = page.values("href")
        assert len(links) == 2
        assert [link.lstrip("#") for link in links] == page.values("id")


class TestSafety:
    def page(self):
        hostile = case(
            HOSTILE,
            volumes_ml={HOSTILE: 1.0},
            metrics={HOSTILE: {"dice": 0.5}, **scores()},
            warnings=[HOSTILE],
            facts={HOSTILE: HOSTILE, "seconds": {HOSTILE: 1.0}},
        )
        return Page(html_report([hostile, case()], HOSTILE, {HOSTILE: HOSTILE}))

    def test_hostile_texts_stay_texts(self):
        page = self.page()
        assert "script" not in page.tags
        assert page.texts.count(HOSTILE) > 5
        assert page.tags.count("img") == 4
        assert not [name for _, name, _ in page.attributes if name.startswith("on")]

    def test_nothing_is_loaded_from_outside(self):
        page = self.page()
        assert all(source.startswith("data:image/png;base64,") for source in page.values("src"))
        assert all(link.startswith("#case-") for link in page.values("href"))
        assert not {"link", "iframe", "object", "base", "form"} & set(page.tags)
        ordinary = html_report([case()], "t")
        assert not re.search(
            r"https?:|//[a-z]|@import|url\(", re.sub(r'base64,[^"]*', "", ordinary)
        )

    def test_what_is_no_picture_is_refused(self):
        with pytest.raises(ValueError, match="not a PNG"):
            html_report([case(picture=b"<svg onload=alert(1)>")], "t")
        with pytest.raises(ValueError, match="uint8"):
            html_report([case(picture=np.zeros((3, 3)))], "t")


class TestFile:
    def test_file_is_utf8_and_returned(self, tmp_path):
        path = write_html_report(tmp_path / "r.html", [case("Fall Ä 脑")], "Größe")
        assert path == tmp_path / "r.html"
        text = path.read_text(encoding="utf-8")
        assert "Fall Ä 脑" in text
        assert "Größe" in Page(text).text
        assert [p.name for p in tmp_path.iterdir()] == ["r.html"]

    def test_failed_write_keeps_the_old_file(self, tmp_path, monkeypatch):
        path = tmp_path / "r.html"
        path.write_text("old")

        def no_move(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.replace", no_move)
        with pytest.raises(ResourceError, match="No space left"):
            write_html_report(path, [case()], "t")
        assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
        assert path.read_text() == "old"

    def test_missing_folder_is_named(self, tmp_path):
        with pytest.raises(ResourceError, match="absent"):
            write_html_report(tmp_path / "absent" / "r.html", [case()], "t")


class TestRendering:
    def test_a_value_that_is_missing_is_an_error(self):
        with pytest.raises(jinja2.UndefinedError, match="title"):
            render("page.html.j2")

    def test_every_template_has_autoescape(self):
        page = render("page.html.j2", title=HOSTILE)
        assert HOSTILE not in page
        assert Page(page).texts.count(HOSTILE) == 2

    def test_segmenting_needs_no_templates(self):
        code = (
            "import sys, scripted_models.commands.segment, scripted_models.segmentation.outputs; "
            "print('jinja2' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.strip() == "False", done.stderr
