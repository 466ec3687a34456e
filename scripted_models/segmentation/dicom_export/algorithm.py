"""What made a result, as DICOM identifies it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripted_models import __version__

if TYPE_CHECKING:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.sr import AlgorithmIdentification

MANUFACTURER, PRODUCT = "BrainTumorSeg", "scripted-models"
_LONGEST = 64  # characters of DICOM's long strings


@dataclass(frozen=True)
class Algorithm:
    """A model and the program that ran it.

    Attributes:
        name: of the model.
        version: of the model.
        weights_sha256: checksum of its weights.
        method_sha256: checksum of all that decides a result beside the weights.
    """

    name: str
    version: str
    weights_sha256: str
    method_sha256: str

    @property
    def title(self) -> str:
        """Program and model, as one name."""
        return title_of(self.name)

    @property
    def parameters(self) -> dict[str, str]:
        """What tells two models of one name apart, and the version of the program."""
        return {
            "weights_sha256": self.weights_sha256,
            "method_sha256": self.method_sha256,
            PRODUCT: __version__,
        }

    @property
    def equipment(self) -> dict[str, Any]:
        """The attributes of the equipment that makes a DICOM object, for highdicom."""
        return {
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": PRODUCT,
            "software_versions": __version__,
            "device_serial_number": self.weights_sha256,
        }

    def in_segments(self) -> "AlgorithmIdentificationSequence":
        """Return what a segment says of its origin."""
        import highdicom
        from pydicom.sr.codedict import codes

        return highdicom.AlgorithmIdentificationSequence(
            name=self.title,
            family=codes.DCM.ArtificialIntelligence,
            version=long_string(self.version),
            source=MANUFACTURER,
            parameters=self.parameters,
        )

    def in_report(self) -> "AlgorithmIdentification":
        """Return what a group of measurements says of its origin (TID 4019)."""
        from highdicom.sr import AlgorithmIdentification

        return AlgorithmIdentification(
            name=self.title,
            version=long_string(self.version),
            parameters=[f"{name}={value}" for name, value in self.parameters.items()],
        )


def title_of(model: str) -> str:
    """Return the name of program and model together, for DICOM."""
    return long_string(f"{PRODUCT} {model}")


def long_string(text: str) -> str:
    r"""Return a text as DICOM stores it (VR LO): ASCII, no backslash, at most 64 characters."""
    return text.encode("ascii", "replace").decode("ascii").replace("\\", "/")[:_LONGEST].strip()
