"""What first phases cost: trainings that several arms go on from, and that no arm's seconds hold."""

from pathlib import Path

import polars as pl

from layersweep.records.read import read
from layersweep.studies.sections.section import Extra, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import SECONDS
from layersweep.words import count, duration


def shown(found: Comparison, results: Path) -> Extra:
    """A sentence about the first phases as a part of a study; empty where there were none."""
    parents = found.replicates.rows["parent"].drop_nulls().unique().to_list()
    ends = read(results, "trials", columns=("trial_id", *SECONDS))
    ends = ends.filter(pl.col("trial_id").cast(pl.String).is_in(list(map(str, parents))))
    if not ends.height:
        return Extra()
    seconds = float(ends.select(pl.sum_horizontal(pl.col(SECONDS).fill_null(0)).sum()).item())
    said = (
        f"{count(ends['trial_id'].n_unique(), 'first phase')} took {duration(seconds)} of slots, shared by the arms "
        "that go on from them, and in none of their seconds."
    )
    return section("", [said])
