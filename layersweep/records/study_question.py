"""What a sweep asks, and how it is to be answered, as its runs record it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass(frozen=True, kw_only=True)
class StudyQuestion:
    """What a study of a sweep needs to know besides its trials.

    Attributes:
        text: the question, in words.
        sections: what is shown besides the comparison of the arms, by the names of `layersweep.studies.sections`; None
            for whatever the records have.
        reported: arms that were called best elsewhere, with their accuracies there.
        apart: keys whose values are not to be compared with each other (other classes, say), each with its default.
    """

    text: str
    sections: Sequence[str] | None = None
    reported: Mapping[str, float] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the table `runs` that hold it."""
        more = {"sections": self.sections, "reported": self.reported, "apart": self.apart}
        return {"study_question": self.text, "study_json": json.dumps(more)}

    @classmethod
    def last(cls, results: Path, sweep: str) -> Self | None:
        """What the last run of a sweep recorded; None where no run did.

        Raises:
            ResultsError: if the records cannot be read.
        """
        import polars as pl  # not at the top: a sweep's --help has no use for it

        from layersweep.records.read import read

        runs = read(results, "runs", sweep, columns=("event", "at", "study_question", "study_json"))
        asked = runs.filter(pl.col("event") == "start").drop_nulls("study_json").sort("at", maintain_order=True)
        if asked.is_empty():
            return None
        row = asked.row(-1, named=True)
        return cls(text=row["study_question"], **json.loads(row["study_json"]))
