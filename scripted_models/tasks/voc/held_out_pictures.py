"""Test images of a list of experiments: predicted, scored, and made a row of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripted_models.bundle.weights import Model
from scripted_models.errors import InputError
from scripted_models.inference import place_network
from scripted_models.tasks.list_run import SCORES, TEST, ListRun
from scripted_models.tasks.voc.image_lists import VocImage, scored_images
from scripted_models.tasks.voc.list_table import VocResult
from scripted_models.tasks.voc.masks import write_mask
from scripted_models.tasks.voc.picture_cases import training_images
from scripted_models.tasks.voc.picture_files import read_image
from scripted_models.tasks.voc.prediction import PicturePredictor
from scripted_models.tasks.voc.prediction_record import PredictionRecord, entries_of
from scripted_models.tasks.voc.scoring import evaluate_voc
from scripted_models.training import distributed
from scripted_models.training.experiment_config import DataConfig, Experiment


@dataclass(frozen=True)
class HeldOutPictures:
    """The `HeldOut` of PASCAL VOC.

    Attributes:
        images: test images, each with a label map.
        listed: name of their list.
        trained: experiment -> names of the test images that also train it.
        validated: experiment -> whether the test images choose its best epoch.
    """

    images: tuple[VocImage, ...]
    listed: str
    trained: Mapping[str, frozenset[str]]
    validated: Mapping[str, bool]

    @classmethod
    def of(cls, experiments: Sequence[Experiment], data: Path) -> "HeldOutPictures":
        """Find the images of the list that the experiments share.

        Raises:
            InputError: a list or file that is not there, or lists that differ between experiments.
        """
        first = experiments[0]
        images = _test_images(first.data, data)
        names = [image.name for image in images]
        trained, validated = {}, {}
        for experiment in experiments:
            if [image.name for image in _test_images(experiment.data, data)] != names:
                raise InputError(
                    found=f"other test images in {experiment.name} than in {first.name}",
                    expected="the same for all rows of a table",
                    action="give all the same data.voc_test",
                )
            train, validation = training_images(experiment.data, data)
            trained[experiment.name] = frozenset(names) & {image.name for image in train}
            chosen = {image.name for image in validation} & set(names)
            validated[experiment.name] = bool(chosen and experiment.training.phase1.patience)
        listed = first.data.voc_test or "all with a label map"
        return cls(tuple(images), listed, trained, validated)

    @property
    def facts(self) -> dict[str, object]:
        """The list and its size."""
        return {"test list": self.listed, "test images": len(self.images)}

    def predict(self, model: Model, folder: Path, run: ListRun) -> None:
        """Write the label maps that are not made yet by this model from these pictures.

        Processes share them.
        """
        place_network(model.network, run.device)
        predictor = PicturePredictor(model)
        with distributed.only_writers(folder / TEST) as output:
            if distributed.rank() == 0:
                record = PredictionRecord.of(output)
                record.begin(entries_of(self.images, model))
            distributed.wait_for_all()
            left = [i for i in self.images if not (output / f"{i.name}.png").is_file()]
            distributed.wait_for_all()  # all have counted before one writes
            run.progress.message(f"{model.name}: predicting {len(left)} images")
            run.progress.stage("predict", 0.0)
            mine = distributed.share(left)
            for done, image in enumerate(mine, start=1):
                picture = read_image(image.picture)
                labels = predictor.labels(picture, predictor.probabilities(picture))
                write_mask(output / f"{image.name}.png", labels)
                run.progress.update(done / len(mine))

    def score(self, experiment: Experiment, model: Model, folder: Path, run: ListRun) -> VocResult:
        """Score the label maps and return the row of the experiment."""
        scores = evaluate_voc(folder / TEST, self.images, folder / SCORES)
        training = model.description.training
        trainable = (p.numel() for p in model.network.parameters() if p.requires_grad)
        facts = {
            "network": experiment.network.name,
            "trainable parameters": sum(trainable),
            "training images": len(training.train),
            "epochs": training.epochs[0],
            "training seconds": training.seconds,
            "weights (SHA-256)": model.checksum[:12],
        }
        return VocResult(
            name=experiment.name,
            paper_method=experiment.paper_row,
            scores=scores,
            images=len(self.images),
            trained=len(self.trained[experiment.name]),
            validated=self.validated[experiment.name],
            facts=facts,
        )


def _test_images(data: DataConfig, folder: Path) -> list[VocImage]:
    return scored_images(folder, data.voc_test, Path(data.sbd) if data.sbd else None)
