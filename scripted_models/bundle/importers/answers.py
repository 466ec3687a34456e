"""What the user says of a foreign model because its file does not."""

from dataclasses import dataclass, field

from scripted_models.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers to the questions of an import; empty where none was given.

    Attributes:
        channels: sequence of each channel, in the order of the network.
        labels: label or region of each output, in the order of the network.
        orientation: axis code of the volumes that trained it, see `TrainingSpace`.
        spacing_xyz_mm: of these volumes.
        fold: which fold of nnU-Net; the mean of all if none is stated.
    """

    channels: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    orientation: str = ""
    spacing_xyz_mm: tuple[float, ...] = ()
    fold: str = ""

    @property
    def are_given(self) -> bool:
        """True when the user has said anything."""
        return self != Answers()


@dataclass(frozen=True)
class Understood:
    """What was understood of a file so far, line by line.

    Attributes:
        lines: 'network: SegResNet3D ...', 'channels: ...'.
        notes: what was decided or left out, in sentences.
    """

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def tell(self, what: str, text: str) -> None:
        """Add a line."""
        self.lines.append(f"{what}: {text}")

    def note(self, text: str) -> None:
        """Add a note, a sentence without its full stop."""
        self.notes.append(text)
        self.lines.append(f"note: {text}")


def open_question(found: str, expected: str, action: str) -> InputError:
    """Return the question to the user that an import cannot go on without."""
    return InputError(found=found, expected=expected, action=f"{action}; nothing was imported")
