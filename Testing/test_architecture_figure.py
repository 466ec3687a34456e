"""Diagrams of networks: what the trace finds, where the layout puts it, what the slide shows."""

import functools
import itertools
from importlib.util import find_spec

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import FancyBboxPatch
from torch import nn
from torch.nn import functional as F

from scripted_models.networks import NETWORKS, build_network
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.networks.unet import UNet
from scripted_models.reporting.figures.architecture import draw_architecture
from scripted_models.reporting.figures.flow_record import JOIN, record
from scripted_models.reporting.figures.graph_layout import lay_out
from scripted_models.reporting.figures.level_diagram import network_blocks
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


HERE = [n for n, entry in NETWORKS.items() if not entry.needs or find_spec(entry.needs)]
PATCHES = [name for name in HERE if NETWORKS[name].source.startswith("Havaei")]
LEVELS = [name for name in HERE if name not in PATCHES]


def built(name):
    """A network without values."""
    with torch.device("meta"):
        return build_network(name)


class TestTrace:
    @pytest.mark.parametrize("name", PATCHES)
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


class TestBlocks:
    @pytest.mark.parametrize("levels", [1, 2, 5])
    def test_a_u_net_has_a_skip_connection_for_each_level_but_the_lowest(self, levels):
        image, *blocks = network_blocks(UNet(widths=[4 * 2**n for n in range(levels)]))
        assert image.lines == ["image", "12 channels"]
        steps = [*range(levels), *range(levels - 2, -1, -1)]
        assert [block.level for block in blocks] == steps
        for index, block in enumerate(blocks, start=1):
            mirror = 2 * levels - index
            assert block.skips == ([mirror] if index > levels else [])

    @pytest.mark.parametrize(
        ("name", "skips"),
        [
            ("FCN32s", []),
            ("FCN16s", [4]),
            ("FCN8s", [4, 3]),
            ("RefineNet", [4, 3, 2]),
            ("SegResNet3D", [2, 1, 0]),
            ("MonaiUNet", [3, 2, 1]),
            ("AttentionUnet3D", [3, 2, 1, 0]),
            ("PlainConvUNet3D", [4, 3, 2, 1, 0]),
            ("ResidualEncoderUNet", [4, 3, 2, 1, 0]),
        ],
    )
    @pytest.mark.parametrize("brief", [False, True])
    def test_skip_connections_join_at_the_levels_of_the_papers(self, name, skips, brief):
        blocks = network_blocks(built(name), brief=brief)
        joined = [block.level for block in blocks for _ in block.skips]
        assert joined == skips
        for block in blocks:
            assert all(blocks[source].level == block.level for source in block.skips)

    def test_layers_are_told_with_kernel_channels_and_repetitions(self):
        lines = [block.lines for block in network_blocks(built("SegResNetDS3D"))]
        assert lines[1] == ["conv 3³, 16", "2 × conv 3³, 16", "sum"]
        assert lines[4] == ["conv 3³, stride 2, 128", "4 × (2 × conv 3³, 128; sum)"]

    def test_what_is_beside_the_layers_of_a_residual_unit_is_not_one_of_them(self):
        lines = network_blocks(built("MonaiUNet"))[1].lines
        assert lines == ["conv 3×3, stride 2, 16", "conv 3×3, 16", "sum (conv 3×3)"]

    def test_long_rows_of_layers_become_several_blocks(self):
        for most in (4, 6):
            blocks = network_blocks(built("DilatedBasic"), most)
            assert max(len(block.lines) for block in blocks) == most
        assert [b.inputs for b in blocks] == [[], *([n] for n in range(len(blocks) - 1))]

    def test_layers_counted_are_all_that_are_recorded(self):
        network = built("RefineNet")
        words = [line for block in network_blocks(network, brief=True) for line in block.lines]
        told = [line.split(" × ") for line in words if "conv" in line]
        counted = sum(int(line[0]) if len(line) > 1 else 1 for line in told)
        weights = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        assert counted == len(weights)

    def test_a_dense_crf_reads_the_image_and_works_again_afterwards(self):
        network = build_network("CRFRNN", network="UNet", widths=[4, 8], in_channels=1)
        blocks = network_blocks(network)
        assert blocks[-1].lines[-1] == "dense CRF, 10 iterations"
        assert 0 in blocks[-1].skips
        with torch.no_grad():
            image = torch.rand(1, network.input_channels, 8, 8)
            assert not torch.equal(network(image), network.unary(image))

    def test_a_network_that_runs_is_left_as_it_was(self):
        network = UNet(widths=(4, 8))
        before = {name: value.clone() for name, value in network.state_dict().items()}
        operations = record(network)
        assert [o.label for o in operations if o.kind == JOIN] == ["concatenation"]
        for name, value in network.state_dict().items():
            assert torch.equal(value, before[name])

    def test_a_network_without_layers_says_what_it_does(self):
        _, block = network_blocks(built("ThresholdBaseline"))
        assert " ".join(block.lines).startswith("Edema where FLAIR is bright")


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
    network = Unseen() if name == "Unseen" else built(name)
    return draw_architecture(name, network, "" if name == "Unseen" else NETWORKS[name].source)


class TestSlide:
    @pytest.mark.parametrize("name", [*HERE, "Unseen"])
    def test_no_words_touch_others_or_leave_the_slide(self, name):
        width, height = slide(name).get_size_inches() * slide(name).dpi
        assert width / height == pytest.approx(16 / 9, rel=1e-3)
        boxes = [text.get_window_extent() for text in slide(name).axes[0].texts if text.get_text()]
        assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other), (one, other)

    @pytest.mark.parametrize("name", LEVELS)
    def test_blocks_are_apart_and_each_holds_its_words(self, name):
        (axes,) = slide(name).axes
        boxes = [p.get_window_extent() for p in axes.patches if isinstance(p, FancyBboxPatch)]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)
        words = [text.get_window_extent() for text in axes.texts]
        pairs = [(w, box) for w in words for box in boxes if w.overlaps(box)]
        assert len(pairs) == len(boxes) > 1
        for text, box in pairs:
            assert (min(text.x0, box.x0), min(text.y0, box.y0)) == (box.x0, box.y0)
            assert (max(text.x1, box.x1), max(text.y1, box.y1)) == (box.x1, box.y1)

    @pytest.mark.parametrize("name", HERE)
    def test_title_has_parameters_and_receptive_field(self, name):
        facts = NETWORKS[name].describe()
        title, subtitle, *_ = (text.get_text() for text in slide(name).axes[0].texts)
        assert title == name
        assert f"{facts['trainable_parameters']:,} trainable parameters" in subtitle
        assert " × ".join([str(facts["receptive_field"])] * facts["dimensions"]) in subtitle

    @pytest.mark.parametrize("name", HERE)
    def test_words_are_readable_on_a_slide(self, name):
        sizes = [text.get_fontsize() for text in slide(name).axes[0].texts if text.get_text()]
        assert min(sizes) >= (12 if name in PATCHES else 9)

    def test_an_ensemble_shows_one_of_its_networks(self):
        words = [text.get_text() for text in slide("AveragedEnsemble3D").axes[0].texts]
        assert "one of 5 such networks" in words[1]
        one = [text.get_text() for text in slide("SegResNet3D").axes[0].texts]
        assert words[3:] == one[3:]
