"""Diagrams of networks: what the trace finds, where the layout puts it, what the slide shows."""

import functools
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from scripted_models.networks import NETWORKS, build_network
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.reporting.figures.architecture import draw_architecture
from scripted_models.reporting.figures.graph_layout import lay_out
from scripted_models.reporting.figures.network_trace import JOINED, MAPS, NETWORK, trace_network


class Unseen(SliceNetwork):
    """A network that the diagrams were not made for: strides, dilation, skips, upsampling."""

    in_channels, receptive_field, margins = 3, 32, (0, 0)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.BatchNorm2d(8))
            for _ in range(3)
        )
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.side = nn.Conv2d(3, 8, 1)
        self.out = nn.Conv2d(16, 2, 1)

    def forward(self, x):
        hidden = self.stem(x)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.out(torch.cat([F.relu(self.up(hidden)), self.side(x)], dim=1))


DRAWN = sorted(name for name, entry in NETWORKS.items() if entry.drawn)


class TestTrace:
    @pytest.mark.parametrize("name", DRAWN)
    def test_a_patch_of_the_receptive_field_becomes_classes(self, name):
        network = build_network(name)
        stages = trace_network(network)
        field, left = network.receptive_field, network.receptive_field - sum(network.margins)
        assert stages[0].shape == (network.input_channels, field, field)
        assert stages[-1].shape == (network.num_classes, left, left)

    def test_two_path_cnn_is_that_of_figure_2(self):
        found = [
            (s.shape, s.inputs, s.operations) for s in trace_network(build_network("TwoPathCNN"))
        ]
        hidden = ["maxout 2", "max-pool 4 × 4", "dropout 0.5"]
        assert found == [
            ((4, 33, 33), [], []),
            ((64, 24, 24), [0], ["conv 7 × 7", *hidden]),
            ((64, 21, 21), [1], ["conv 3 × 3", "maxout 2", "max-pool 2 × 2", "dropout 0.5"]),
            ((160, 21, 21), [0], ["conv 13 × 13", "maxout 2", "dropout 0.5"]),
            ((224, 21, 21), [2, 3], ["concatenation"]),
            ((5, 1, 1), [4], ["conv 21 × 21"]),
        ]

    @pytest.mark.parametrize(
        ("name", "joined_shape"),
        [
            ("InputCascadeCNN", (9, 33, 33)),
            ("LocalCascadeCNN", (69, 24, 24)),
            ("MFCascadeCNN", (229, 21, 21)),
        ],
    )
    def test_probabilities_of_the_first_network_join_where_the_paper_says(self, name, joined_shape):
        stages = trace_network(build_network(name))
        (first,) = [index for index, stage in enumerate(stages) if stage.kind == NETWORK]
        assert stages[first].is_fixed
        assert stages[first].parameters == 809_637
        assert stages[first].operations == ["softmax"]
        (reader,) = [stage for stage in stages if first in stage.inputs]
        assert (reader.kind, reader.shape) == (JOINED, joined_shape)

    def test_members_of_an_ensemble_are_one_stage_with_copies(self):
        stages = trace_network(build_network("VotedEnsemble", members=4))
        assert [stage.copies for stage in stages] == [1, 4, 1]
        assert stages[1].name == "TwoPathCNN"
        assert stages[2].kind == JOINED

    def test_dropout_of_nothing_and_options_of_the_network_are_told_as_they_are(self):
        stages = trace_network(build_network("GlobalPathCNN", dropout=0.0, maxout_pieces=3))
        assert stages[1].operations == ["conv 13 × 13", "maxout 3"]

    def test_layers_repeated_are_counted_and_skips_keep_their_ends(self):
        stages = trace_network(Unseen())
        assert stages[1].operations == [
            "2 × (conv 3 × 3, ReLU)",
            "max-pool 2 × 2, stride 2",
        ]
        sums = [stage for stage in stages if stage.operations == ["+"]]
        assert len(sums) == 3
        for stage in sums:
            skipped, block = stage.inputs
            assert stages[block].inputs == [skipped]
            assert stages[block].operations == ["conv 3 × 3, dilation 2", "BatchNorm2d"]
        assert stages[-1].kind == MAPS


@st.composite
def graphs(draw):
    """Graphs in which every node but the first reads one or more earlier ones."""
    count = draw(st.integers(2, 12))
    return [[]] + [
        sorted(draw(st.sets(st.integers(0, node - 1), min_size=1, max_size=3)))
        for node in range(1, count)
    ]


class TestLayout:
    @settings(max_examples=25)
    @given(graphs())
    def test_lines_run_to_the_right_one_column_at_a_time(self, inputs):
        layout = lay_out(inputs)
        ends = {
            (layout.places[source], layout.places[node])
            for node, sources in enumerate(inputs)
            for source in sources
        }
        assert {(line[0], line[-1]) for line in layout.lines} == ends
        for line in layout.lines:
            columns = [column for column, _ in line]
            assert columns == list(range(columns[0], columns[-1] + 1))

    @settings(max_examples=25)
    @given(graphs())
    def test_nothing_in_a_column_is_closer_than_one_lane(self, inputs):
        layout = lay_out(inputs)
        points = {*layout.places, *(point for line in layout.lines for point in line)}
        assert len(set(layout.places)) == len(inputs)
        for one, other in itertools.combinations(sorted(points), 2):
            assert one[0] != other[0] or other[1] - one[1] > 1 - 1e-9


@functools.cache
def slide(name):
    return draw_architecture(name, Unseen() if name == "Unseen" else build_network(name))


class TestSlide:
    @pytest.mark.parametrize("name", [*DRAWN, "Unseen"])
    def test_no_words_touch_others_or_leave_the_slide(self, name):
        width, height = slide(name).get_size_inches() * slide(name).dpi
        assert width / height == pytest.approx(16 / 9, rel=1e-3)
        boxes = [text.get_window_extent() for text in slide(name).axes[0].texts if text.get_text()]
        assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other), (one, other)

    @pytest.mark.parametrize("name", DRAWN)
    def test_title_has_parameters_and_receptive_field(self, name):
        facts = NETWORKS[name].describe()
        title, subtitle, *_ = (text.get_text() for text in slide(name).axes[0].texts)
        assert title == name
        assert f"{facts['trainable_parameters']:,} trainable parameters" in subtitle
        assert "{0} × {0}".format(facts["receptive_field"]) in subtitle

    @pytest.mark.parametrize("name", sorted(set(DRAWN) - {"UNet"}))  # which has 22 stages in a row
    def test_words_in_the_graph_have_twelve_points_or_more(self, name):
        sizes = [text.get_fontsize() for text in slide(name).axes[0].texts if text.get_text()]
        assert min(sizes) >= 12
