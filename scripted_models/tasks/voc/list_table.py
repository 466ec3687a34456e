"""The table of a list of experiments on PASCAL VOC, beside the rows that papers print."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripted_models.evaluation.confusion import SUMMARIES, ConfusionMatrix
from scripted_models.evaluation.experiment_rows import fact_columns, fact_text
from scripted_models.evaluation.paper_tables import (
    ComparedRow,
    escaped,
    markdown_cells,
    markdown_table,
)
from scripted_models.runtime.csv_text import csv_of_lines
from scripted_models.tasks.voc.paper_rows import PAPER_ROWS, VocRow
from scripted_models.tasks.voc.scoring import (
    IMAGES_DIFFER,
    TITLES,
    known_scores,
    own_row,
    percent,
    printed_row,
)

PERCENT_NOTE = "All figures are percent; our rows are bold."


@dataclass(frozen=True)
class VocResult:
    """One trained and scored network, a `Row` of the table.

    Attributes:
        name: heads the row.
        paper_method: method of the papers to set beside it, such as 'FCN-8s'; empty for none.
        scores: over all test images.
        images: number of test images.
        trained: how many of these also train the network.
        validated: whether some of these choose the epoch whose weights are kept.
        facts: JSON values such as training seconds.
    """

    name: str
    paper_method: str
    scores: ConfusionMatrix
    images: int
    trained: int = 0
    validated: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a reader of the scores must know."""
        found = []
        if self.trained:
            found.append(
                f"{self.name}: {self.trained} of the {self.images} test images also train it. Its "
                "scores tell what it learns by heart, not what it does with new pictures."
            )
        if self.validated:
            found.append(f"{self.name}: test images also choose the epoch whose weights are kept.")
        return tuple(found)


Group = tuple[list[VocResult], list[VocRow]]  # ours, and the printed rows beside them


def groups(results: Sequence[VocResult]) -> list[Group]:
    """Set results beside the printed rows of their method; all other printed rows come last."""
    methods = dict.fromkeys(result.paper_method for result in results)
    found: list[Group] = [
        (
            [result for result in results if result.paper_method == method],
            [row for row in PAPER_ROWS if row.method == method],
        )
        for method in methods
    ]
    return [*found, ([], [row for row in PAPER_ROWS if row.method not in methods])]


def score_rows(results: Sequence[VocResult]) -> list[ComparedRow]:
    """Return results and printed rows as texts under TITLES."""
    rows = []
    for own, printed in groups(results):
        rows += [own_row(result.scores, result.name, result.images) for result in own]
        rows += [printed_row(row) for row in printed]
    return rows


def notes_of(results: Sequence[VocResult]) -> list[str]:
    """Return the sentences that a reader of the table must know."""
    return [note for result in results for note in result.notes]


def list_texts(results: Sequence[VocResult], facts: Mapping[str, object]) -> dict[str, str]:
    """Return the texts of table.csv, table.json and table.md by file name.

    Args:
        results: at least one, all of the same images.
        facts: JSON values about the whole run.
    """
    return {
        "table.csv": _csv_text(results),
        "table.json": _json_text(results, facts),
        "table.md": _markdown(results, facts),
    }


def class_columns(results: Sequence[VocResult]) -> list[list[str]]:
    """Return the IU of every class in percent: the titles, then the texts of each class.

    After the columns of the results come those that papers print for the same methods.
    """
    methods = {result.paper_method for result in results}
    printed = [row for row in PAPER_ROWS if row.class_iu and row.method in methods]
    titles = ["Class", *(result.name for result in results), *(row.title for row in printed)]
    body = [
        [
            name,
            *(percent(100 * result.scores.class_iu[index]) for result in results),
            *(percent(row.iu_of.get(name)) for row in printed),
        ]
        for index, name in enumerate(results[0].scores.classes)
    ]
    return [titles, *body]


def _csv_text(results: Sequence[VocResult]) -> str:
    """Return one line per row, ours and printed, in percent; what is not known is empty."""
    by_class = [f"iu_{name}" for name in results[0].scores.classes]
    columns = ["method", "source", "images", *SUMMARIES, "seconds", *by_class]
    lines: list[dict[str, object]] = []
    for own, printed in groups(results):
        lines += (_csv_line(result) for result in own)
        for row in printed:
            values = {key: getattr(row, key) for key in SUMMARIES}
            head = {"method": row.method, "source": row.source, "images": row.images}
            ius = {f"iu_{name}": iu for name, iu in row.iu_of.items()}
            lines.append({**head, "seconds": row.seconds, **values, **ius})
    return csv_of_lines(columns, lines)


def _csv_line(result: VocResult) -> dict[str, object]:
    scores = result.scores
    values = {key: _known_percent(value) for key, value in scores.summary.items()}
    ius = zip(scores.classes, scores.class_iu, strict=True)
    by_class = {f"iu_{name}": _known_percent(float(iu)) for name, iu in ius}
    return {
        "method": result.name,
        "source": "here",
        "images": result.images,
        **values,
        **by_class,
    }


def _known_percent(share: float) -> str:
    return f"{100 * share:.4f}" if share == share else ""  # NaN differs from itself


def _json_text(results: Sequence[VocResult], facts: Mapping[str, object]) -> str:
    content = {
        "facts": dict(facts),
        "caveat": str(IMAGES_DIFFER),
        "rows": [
            {
                "name": result.name,
                "paper_method": result.paper_method,
                "images": result.images,
                **known_scores(result.scores),
                "classes": list(result.scores.classes),
                "confusion": result.scores.counts.tolist(),
                "notes": result.notes,
                "facts": dict(result.facts),
            }
            for result in results
        ],
        "papers": [row._asdict() for row in PAPER_ROWS],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _markdown(results: Sequence[VocResult], facts: Mapping[str, object]) -> str:
    titles, *classes = ([escaped(cell) for cell in line] for line in class_columns(results))
    blocks = [
        f"{IMAGES_DIFFER.markdown} {PERCENT_NOTE}",
        markdown_table(TITLES, map(markdown_cells, score_rows(results))),
        f"## IU of each class\n\n{markdown_table(titles, classes)}",
    ]
    if table := fact_columns(results):
        titles, *body = ([escaped(cell) for cell in line] for line in table)
        blocks.append(f"## Training\n\n{markdown_table(titles, body)}")
    items = [*notes_of(results), *(f"{name}: {fact_text(value)}" for name, value in facts.items())]
    blocks.append("".join(f"- {escaped(item)}\n" for item in items))
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"
