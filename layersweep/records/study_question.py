"""The question of a sweep and the settings of its study, as its runs record them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from layersweep.escaping import to_json


@dataclass(frozen=True, kw_only=True)
class StudyQuestion:
    """The question of a sweep and the settings of its study.

    Attributes:
        text: the question, in words.
        sections: the names of the sections that follow the comparison, see `layersweep.studies.sections.registry`; None
            for all sections for which there are records.
        reported: arms that others reported as best, with the accuracies that they reported.
        apart: configuration keys that split the arms into groups, each with its default value. Arms with different
            values (of `classes`, for example) are not compared with each other.
        metric: the column of `epochs` by which the sweep judges its arms.
    """

    text: str
    sections: Sequence[str] | None = None
    reported: Mapping[str, float] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)
    metric: str = "val_accuracy"

    @property
    def columns(self) -> dict[str, str]:
        """Its columns in the table `runs`."""
        settings: dict[str, object] = {"sections": self.sections, "reported": self.reported, "apart": self.apart}
        if self.metric != StudyQuestion.metric:
            settings["metric"] = self.metric
        return {"study_question": self.text, "study_json": to_json(settings)}

    @classmethod
    def last(cls, results: Path, sweep: str) -> Self | None:
        """The question that the last run of a sweep recorded; None if no run did.

        Raises:
            ResultsError: if the records cannot be read.
        """
        import polars as pl  # not at the top: it would slow down a sweep's --help

        from layersweep.records.read import read

        runs = read(results, "runs", sweep, columns=("event", "study_question", "study_json"))
        starts = runs.filter(pl.col("event") == "start").drop_nulls("study_json")  # in the order of the records
        if starts.is_empty():
            return None
        row = starts.row(-1, named=True)
        return cls(text=row["study_question"], **json.loads(row["study_json"]))
