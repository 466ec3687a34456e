"""The demo: a phantom from the first voxel to the report, whose scores stay with the phantom."""

from model_fixtures import quick_model

from scripted_models.cli import main
from scripted_models.evaluation.paper_tables import PAPER_ROWS


def test_scores_of_a_phantom_stand_beside_no_scores_of_patients(tmp_path, capsys):
    words = ["demo", "--size", "48", "48", "40", "--model", quick_model()]
    assert main([*words, "--output", str(tmp_path), "--progress", "none"]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    for text in (page, said):
        assert "The case is a phantom" in text
        assert "Havaei" not in text
        assert not any(row.method in text for row in PAPER_ROWS)
    assert "| Dice |" in said
    assert "Agreement with the ground truth" in page
    assert not list(tmp_path.rglob("comparison.md"))
