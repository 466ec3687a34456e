"""Learning curves, and the way of figures into files."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from training_fixtures import history_row

from scripted_models.errors import InputError
from scripted_models.reporting.figures.canvas import new_figure, save_figure
from scripted_models.reporting.figures.curves import draw_curves, read_run
from scripted_models.training.records import write_records


class TestCurves:
    def test_lines_are_the_records_phase_by_phase(self, tmp_path):
        history = [(1, 1, 1.5, 0.2), (1, 2, 1.0, 0.4), (2, 1, 0.5, 0.6)]
        write_records(tmp_path, [history_row(*values) for values in history])
        figure = draw_curves([read_run(tmp_path)])
        assert len(figure.axes) == 8
        lines = [axes.lines[0] for axes in figure.axes[:4]]
        assert [line.get_xdata().tolist() for line in lines] == [[1, 2], [1], [1, 2], [1]]
        assert [line.get_ydata().tolist() for line in lines] == [[1.5, 1], [0.5], [0.2, 0.4], [0.6]]

    def test_runs_have_names_and_looks_of_their_own(self, tmp_path):
        for number in range(9):
            (tmp_path / f"run{number}").mkdir()
            write_records(tmp_path / f"run{number}", [history_row(1, 1, number, 0.5)])
        runs = [read_run(tmp_path / f"run{number}") for number in range(9)]
        figure = draw_curves(runs)
        looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
        assert len(looks) == 9
        assert [text.get_text() for text in figure.legends[0].texts] == [run.name for run in runs]

    @pytest.mark.parametrize("count", [1, 4, 9, 14])
    def test_names_of_runs_lie_below_the_curves(self, tmp_path, count):
        folders = [tmp_path / f"run_with_quite_a_long_name_{number}" for number in range(count)]
        for folder in folders:
            folder.mkdir()
            write_records(folder, [history_row(1, 1, 1.0, 0.5), history_row(2, 1, 1.0, 0.5)])
        figure = draw_curves([read_run(folder) for folder in folders])
        FigureCanvasAgg(figure).draw()
        legend = figure.legends[0].get_window_extent()
        assert legend.y0 >= 0
        assert 0 <= legend.x0 < legend.x1 <= figure.bbox.width
        assert all(not legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)

    def test_a_run_without_validation_has_its_loss_alone(self, tmp_path):
        write_records(tmp_path, [{"phase": 1, "epoch": 1, "loss": 1.0, "score": -1.0}])
        (axes,) = draw_curves([read_run(tmp_path)]).axes
        assert axes.get_title(loc="left") == "training loss"

    def test_a_folder_of_folds_names_its_runs(self, tmp_path):
        (tmp_path / "fold1").mkdir()
        write_records(tmp_path / "fold1", [history_row(1, 1, 1.0, 0.5)])
        with pytest.raises(InputError, match=r"no metrics\.csv.*fold1"):
            read_run(tmp_path)

    def test_a_table_that_is_no_history_is_refused(self, tmp_path):
        (tmp_path / "metrics.csv").write_text("case,dice\na,0.5\n")
        with pytest.raises(InputError, match="no history"):
            read_run(tmp_path)


class TestFiles:
    @pytest.mark.parametrize(
        ("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")]
    )
    def test_a_suffix_is_a_format_and_the_bytes_repeat(self, tmp_path, suffix, start):
        contents = []
        for number in range(2):
            figure = new_figure(3, 2)
            figure.add_axes((0, 0, 1, 1)).plot([1, 2])
            save_figure(figure, tmp_path / f"{number}{suffix}")
            contents.append((tmp_path / f"{number}{suffix}").read_bytes())
        assert contents[0].startswith(start)
        assert contents[0] == contents[1]

    def test_an_unknown_suffix_leaves_nothing(self, tmp_path):
        with pytest.raises(InputError, match=r"\.png, \.pdf, \.svg"):
            save_figure(new_figure(), tmp_path / "a" / "figure.jpeg")
        assert list(tmp_path.iterdir()) == []
