"""Files that appear whole or not at all."""

import os
import tempfile
from pathlib import Path

from scripted_models.errors import ResourceError


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file beside its place, flush it to disk, then put it there in one step.

    Args:
        path: destination in an existing folder; text is written as UTF-8.
        content: bytes or text.

    Raises:
        ResourceError: the folder cannot be written.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        handle, partial = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(partial, 0o644)
            os.replace(partial, path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ResourceError(
            f"{path}: could not be written ({error.strerror}); check that the folder exists, is "
            "writable and has space left."
        ) from error


def make_folder(path: Path) -> Path:
    """Create a folder with its parents; the folder may exist.

    Raises:
        ResourceError: it cannot be created.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            f"{path}: the folder could not be created ({error.strerror}); choose another --output."
        ) from error
    return path
