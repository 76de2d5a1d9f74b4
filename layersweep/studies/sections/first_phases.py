"""The cost of first phases: trainings from which several arms continue. The seconds of arms do not include them."""

from pathlib import Path

import polars as pl

from layersweep.formatting import count, duration
from layersweep.records.read import read
from layersweep.studies.sections.section import Section, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import SECONDS


def section(comparison: Comparison, results: Path) -> Section:
    """A sentence about the first phases; empty if there are none."""
    parents = comparison.replicates.rows["parent"].drop_nulls().unique().to_list()
    ends = read(results, "trials", columns=("trial_id", *SECONDS))
    ends = ends.filter(pl.col("trial_id").cast(pl.String).is_in(list(map(str, parents))))
    if not ends.height:
        return Section()
    seconds = float(ends.select(pl.sum_horizontal(pl.col(SECONDS).fill_null(0)).sum()).item())
    n = ends["trial_id"].n_unique()
    pronoun = "it" if n == 1 else "them"
    sentence = (
        f"{count(n, 'first phase')} took {duration(seconds)} of slot time. The arms that continue from {pronoun} share "
        "this time, and their own seconds do not include it."
    )
    return make_section("", [sentence])
