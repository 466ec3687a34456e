"""Dates of sessions: acq_time in sub-X_sessions.tsv, or in the scans.tsv of the session."""

import csv
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from scripted_models.runtime.plain_files import read_text

_NOTHING = ("", "n/a")
_FRACTION = re.compile(r"\.\d+")  # of a second: Python 3.10 reads three or six digits of it


class SessionDates:
    """The times that the tables of a data set state.

    Args:
        root: folder of the data set.
        ignored: receives tables whose times cannot be read, with the reason.
    """

    def __init__(self, root: Path, ignored: list[tuple[Path, str]]):
        self.root, self.ignored = root, ignored
        self._tables: dict[Path, list[dict[str, str]]] = {}

    def of_session(self, stem: str, images: Iterable[Path]) -> str:
        """Return the date of a session as YYYY-MM-DD, "" where no table states it.

        Args:
            stem: subject and session, "sub-01_ses-02".
            images: of the session; the first of them dates it where the sessions have no times.
        """
        subject, _sign, session = stem.partition("_")
        table = self.root / subject / f"{subject}_sessions.tsv"
        rows = self._rows(table)
        found = [self._time(table, row) for row in rows if session and row["session_id"] == session]
        times = found if any(found) else [self.of_image(path) for path in images]
        return min((time for time in times if time), default="")[:10]

    def of_image(self, path: Path) -> str:
        """Return the time of an image, "" where the scans.tsv of its session does not state it."""
        session = path.parent.parent  # of .../anat/NAME
        name = "_".join(session.relative_to(self.root).parts)
        table = session / f"{name}_scans.tsv"
        place = path.relative_to(session).as_posix()
        rows = [row for row in self._rows(table) if row["filename"] == place]
        return self._time(table, rows[0]) if rows else ""

    def _time(self, table: Path, row: dict[str, str]) -> str:
        text = row["acq_time"].strip()
        if text in _NOTHING:
            return ""
        try:
            return datetime.fromisoformat(_FRACTION.sub("", text.removesuffix("Z"))).isoformat()
        except ValueError:
            told = (table, f"'{text}' is no time such as 2009-06-15T13:45:30")
            self.ignored += [] if told in self.ignored else [told]
            return ""

    def _rows(self, table: Path) -> list[dict[str, str]]:
        if table not in self._tables:
            try:
                lines = read_text(table).splitlines()
            except (OSError, ValueError):
                lines = []
            empty = dict.fromkeys(("session_id", "filename", "acq_time"), "")
            rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
            self._tables[table] = [{**empty, **row} for row in rows if None not in row]
        return self._tables[table]
