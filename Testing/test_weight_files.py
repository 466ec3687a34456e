"""Published weights: files of the true shapes, generated here, find their layers."""

import pickle

import pytest
import torch
from model_fixtures import described
from torch import nn

from scripted_models.bundle.weights import load_model, write_model
from scripted_models.errors import InputError, ModelError
from scripted_models.experiments.runner import load_list
from scripted_models.networks import build_network
from scripted_models.networks.fcn import FCN
from scripted_models.networks.refinenet import ResidualTrunk
from scripted_models.networks.trunks import TRUNKS
from scripted_models.networks.weight_files import (
    CAFFE,
    LAYER_NAMES,
    TORCHVISION,
    convolutions_of,
    inflated,
    load_convolutions,
    load_residual,
    read_weights,
)
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.training.assembly import make_network
from scripted_models.training.experiment_config import Experiment, NetworkConfig

SMALL = {"in_channels": 4, "num_classes": 5, "scale": 1 / 64}
FILES = [(kind, index) for kind, files in LAYER_NAMES.items() for index in range(len(files))]


def without_values(build):
    """Build a module whose values are not initialized, which takes no time."""
    with torch.device("meta"):
        module = build()
    return module.to_empty(device="cpu")


def published(kind, index, trunk):
    """Weights under a file's names; each layer has a value of its own, stored once."""
    scale, names = LAYER_NAMES[kind][index]
    weights = {}
    for number, (name, layer) in enumerate(
        zip(names, convolutions_of(trunk), strict=True), start=1
    ):
        shape = list(layer.weight.shape)
        if scale is TORCHVISION and name.startswith("classifier"):
            shape = [shape[0], shape[1] * shape[2] * shape[3]]
        weights[f"{name}.weight"] = torch.tensor(float(number)).expand(shape)
        own = {f"{name}.bias": -float(number)}
        if name.endswith(".conv"):  # normalized: times 2 and over the root of 4
            bn = name.removesuffix("conv") + "bn"
            own = {
                f"{bn}.weight": 2.0,
                f"{bn}.running_var": 4 - 0.001,
                f"{bn}.bias": 1.0,
                f"{bn}.running_mean": number + 1.0,
            }
        weights |= {key: torch.tensor(value).expand(shape[0]) for key, value in own.items()}
    return weights


@pytest.mark.parametrize(("kind", "index"), FILES)
def test_every_layer_gets_its_own_weights(kind, index, tmp_path):
    trunk = without_values(TRUNKS[kind])
    torch.save({"state_dict": published(kind, index, trunk)}, tmp_path / "weights.pth")
    scale = load_convolutions(trunk, read_weights(tmp_path / "weights.pth"))
    assert scale is LAYER_NAMES[kind][index][0]
    for number, layer in enumerate(convolutions_of(trunk), start=1):
        for values, expected in ((layer.weight.detach(), number), (layer.bias.detach(), -number)):
            assert values.amin() == values.amax() == pytest.approx(expected)


def test_names_of_layers_of_googlenet_may_have_strokes(tmp_path):
    trunk = without_values(TRUNKS["GoogLeNet"])
    weights = published("GoogLeNet", 0, trunk)
    stroked = {
        name.replace("_1x1", "/1x1").replace("inception_3a_", "inception_3a/"): value
        for name, value in weights.items()
    }
    assert stroked.keys() != weights.keys()
    torch.save(stroked, tmp_path / "weights.pth")
    assert load_convolutions(trunk, read_weights(tmp_path / "weights.pth")) is CAFFE


def test_a_fully_connected_layer_is_the_same_as_its_convolution():
    torch.manual_seed(0)
    trunk = TRUNKS["VGG16"](scale=1 / 64)
    connected = nn.Linear(trunk.classifier[0].in_channels * 49, trunk.width)
    weights = {}
    for name, layer in zip(LAYER_NAMES["VGG16"][0][1], convolutions_of(trunk), strict=True):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = layer.weight, layer.bias
    weights["classifier.0.weight"], weights["classifier.0.bias"] = connected.weight, connected.bias
    load_convolutions(trunk, weights)
    maps = torch.randn(2, trunk.classifier[0].in_channels, 7, 7)
    with torch.no_grad():
        expected = connected(maps.flatten(1))
        torch.testing.assert_close(trunk.classifier[0](maps)[:, :, 0, 0], expected)


def test_a_batch_normalization_is_in_its_convolution():
    torch.manual_seed(0)
    trunk = TRUNKS["GoogLeNetBN"](scale=1 / 16)
    convolution = nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False)
    norm = nn.BatchNorm2d(4, eps=0.001).eval()
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.1, 3)
    weights = {}
    for name, layer in zip(LAYER_NAMES["GoogLeNetBN"][0][1], convolutions_of(trunk), strict=True):
        bn = nn.BatchNorm2d(layer.out_channels) if weights else norm
        weights[f"{name}.weight"] = layer.weight if weights else convolution.weight
        weights |= {f"{name.removesuffix('conv')}bn.{key}": v for key, v in bn.state_dict().items()}
    load_convolutions(trunk, weights)
    image = torch.randn(1, 3, 40, 40)
    with torch.no_grad():
        expected = norm(convolution(image)).relu()
        torch.testing.assert_close(trunk.stages[0][:2](image), expected)
    del weights["conv2.bn.running_var"]
    with pytest.raises(ModelError, match=r"Found no conv2\.bn\.running_var"):
        load_convolutions(trunk, weights)


@pytest.mark.parametrize("channels", [1, 3, 4, 12])
def test_filters_of_colors_are_spread_over_sequences(channels):
    filters = torch.randn(5, 3, 3, 3)
    found = inflated(filters, channels)
    assert found.shape == (5, channels, 3, 3)
    gray = torch.randn(1, 1, 8, 8)
    of_colors = nn.functional.conv2d(gray.expand(-1, 3, -1, -1), filters)
    of_sequences = nn.functional.conv2d(gray.expand(-1, channels, -1, -1), found)
    torch.testing.assert_close(of_sequences, of_colors)


def test_a_network_for_four_sequences_takes_weights_for_colors():
    trunk = without_values(TRUNKS["GoogLeNet"])
    network = FCN(in_channels=4, num_classes=5, trunk="GoogLeNet")
    load_convolutions(network.trunk, published("GoogLeNet", 0, trunk))
    first = convolutions_of(network.trunk)[0].weight
    torch.testing.assert_close(first, torch.full_like(first, 3 / 4))


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_a_residual_network_takes_torchvisions_names(depth, tmp_path):
    body = without_values(lambda: ResidualTrunk(4, depth, "none", 1.0)).body
    weights = {"fc.weight": torch.zeros(()).expand(1000, 2048), "fc.bias": torch.zeros(1000)}
    for number, (name, value) in enumerate(body.state_dict().items(), start=1):
        shape = (64, 3, 7, 7) if name == "conv1.weight" else value.shape
        weights[name] = torch.tensor(float(number)).expand(shape)
    torch.save(weights, tmp_path / "weights.pth")
    assert load_residual(body, read_weights(tmp_path / "weights.pth")) is TORCHVISION
    for number, (name, value) in enumerate(body.state_dict().items(), start=1):
        expected = number * 3 / 4 if name == "conv1.weight" else number
        assert value.float().mean() == pytest.approx(expected, rel=1e-4), name
    with pytest.raises(ModelError, match="same depth"):
        load_residual(body, {name: v for name, v in weights.items() if "layer3" not in name})


class TestRefusals:
    def test_weights_of_another_network(self):
        trunk = without_values(TRUNKS["AlexNet"])
        with pytest.raises(ModelError, match=r"features.0.weight.*expected those of AlexNet"):
            load_convolutions(trunk, {"features.0.weight": torch.zeros(64, 3, 11, 11)})

    def test_another_width(self):
        trunk = TRUNKS["GoogLeNet"](scale=1 / 8)
        weights = published("GoogLeNet", 0, without_values(TRUNKS["GoogLeNet"]))
        with pytest.raises(ModelError, match=r"\(64, 3, 7, 7\), expected \(8, 3, 7, 7\)"):
            load_convolutions(trunk, weights)

    def test_a_file_with_code_is_not_run(self, tmp_path):
        class Payload:
            def __reduce__(self):
                return (open, (str(tmp_path / "owned"), "w"))

        (tmp_path / "weights.pth").write_bytes(pickle.dumps({"a": Payload()}))
        with pytest.raises(ModelError, match="no file of weights alone"):
            read_weights(tmp_path / "weights.pth")
        assert not (tmp_path / "owned").exists()

    @pytest.mark.parametrize("content", [[1, 2], {"a": 3}, {"state_dict": {"a": "b"}}])
    def test_other_content(self, content, tmp_path):
        torch.save(content, tmp_path / "weights.pth")
        with pytest.raises(ModelError, match="no state dict"):
            read_weights(tmp_path / "weights.pth")


class TestStart:
    """What training begins with: weights of a coarser network, or published ones."""

    def model(self, folder, name, **arguments):
        torch.manual_seed(1)
        arguments = {**SMALL, **arguments}
        network = build_network(name, **arguments)
        nn.init.normal_(network.score.weight)
        stated = described(network={"name": name, "arguments": arguments})
        return write_model(folder, network, stated)

    def made(self, name, start, **arguments):
        config = NetworkConfig(name, {**SMALL, **arguments}, start=str(start))
        return make_network(Experiment(network=config), BrainsTask())[0]

    def test_fcn_16s_begins_as_fcn_32s_and_8s_as_16s(self, tmp_path):
        coarse = load_model(str(self.model(tmp_path / "32s", "FCN32s"))).network
        finer = self.made("FCN16s", tmp_path / "32s")
        for name, value in coarse.state_dict().items():
            if not name.startswith("upsampling"):  # its size differs
                assert torch.equal(finer.state_dict()[name], value), name
        image = torch.randn(1, 4, 64, 64)
        with torch.no_grad():  # the new skip scores nothing yet
            difference = finer.eval()(image) - coarse.eval()(image)
            assert difference.abs().mean() < 0.1 * coarse(image).abs().mean()
        assert not finer.skips["pool4"].weight.any()

    def test_a_model_of_another_kind_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="found 1 of"):
            self.made("RefineNet", self.model(tmp_path / "m", "FCN32s"))

    def test_a_file_of_published_weights(self, tmp_path):
        trunk = without_values(TRUNKS["GoogLeNet"])
        torch.save(published("GoogLeNet", 0, trunk), tmp_path / "w.pth")
        network = self.made("FCN32s", tmp_path / "w.pth", trunk="GoogLeNet", scale=1.0)
        assert (convolutions_of(network.trunk)[-1].weight == 57).all()
        config = NetworkConfig("UNet", {}, start=str(tmp_path / "w.pth"))
        with pytest.raises(ModelError, match="no published trunk"):
            make_network(Experiment(network=config), BrainsTask())

    def test_named_parts_are_taken_whatever_the_start_holds(self, tmp_path):
        def kernel(network):
            return network.output.weight

        model = load_model("InputCascadeCNN")
        with torch.no_grad():
            model.network.first.output.weight += 1
        start = str(write_model(tmp_path / "start", model.network, model.description))
        config = NetworkConfig("InputCascadeCNN", {}, {"first": "TwoPathCNN"}, start)
        made = make_network(Experiment(network=config), BrainsTask())[0]
        whole = load_model(start).network
        assert torch.equal(kernel(made.second), kernel(whole.second))
        assert torch.equal(kernel(made.first), kernel(load_model("TwoPathCNN").network))
        assert not torch.equal(kernel(made.first), kernel(whole.first))

    def test_a_start_of_a_list_comes_first_and_is_found(self, tmp_path):
        for own, start in (("a", "b"), ("b", "")):
            text = f'name = "{own}"\n[network]\nname = "FCN16s"\nstart = "{start}"\n'
            (tmp_path / f"{own}.toml").write_text(text)
        assert [e.name for e in load_list([tmp_path / "a.toml", tmp_path / "b.toml"])] == ["b", "a"]

    def test_an_experiment_may_start_from_the_shipped_model_of_its_name(self, tmp_path):
        path = tmp_path / "fast.toml"
        path.write_text('name = "fast"\n[network]\nname = "UNet"\nstart = "fast"\n')
        assert [e.name for e in load_list([path])] == ["fast"]


@pytest.mark.filterwarnings("ignore")  # PyTorch warns of types that it will drop
@pytest.mark.parametrize(
    "strange",
    [
        lambda kernel: kernel * float("nan"),
        lambda kernel: kernel.double() * 1e300,
        lambda kernel: kernel.to(torch.int8),
        lambda kernel: kernel.long(),
        lambda kernel: kernel.to(torch.complex64),
        lambda kernel: kernel.to(torch.float8_e4m3fn),
        lambda kernel: kernel.to_sparse(),
        lambda kernel: kernel.to("meta"),
        lambda kernel: torch.quantize_per_tensor(kernel, 0.1, 0, torch.qint8),
    ],
    ids=["nan", "too large", "int8", "int64", "complex", "float8", "sparse", "meta", "quantized"],
)
def test_kernels_that_are_no_finite_numbers_are_refused(strange, tmp_path):
    kernel = torch.ones(2, 3, 4, 4)
    torch.save({"conv1.weight": strange(kernel), "seen": torch.tensor(3)}, tmp_path / "w.pt")
    refusal = r"no plain floating-point numbers.*conv1\.weight|no file of weights alone \(Unp"
    with pytest.raises(ModelError, match=refusal):  # the latter of quantized ones in PyTorch 2.2
        read_weights(tmp_path / "w.pt")
    torch.save({"conv1.weight": kernel.half(), "seen": torch.tensor(3)}, tmp_path / "w.pt")
    assert list(read_weights(tmp_path / "w.pt")) == ["conv1.weight", "seen"]
