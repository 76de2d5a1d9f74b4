"""How often a sweep has been answered with ever more seeds."""

import polars as pl

from layersweep.records.questions import COMPARISON


def look_of(plan: pl.DataFrame) -> int:
    """The number of the answer that the last command of a sweep gives: 1, or more if it added seeds to earlier ones.

    A command that was repeated with the same seeds, to finish what was interrupted or to add arms, is the same look.

    Args:
        plan: the table of that name, in the order in which it was written.
    """
    compared = plan.filter((pl.col("question") == COMPARISON).fill_null(value=True))
    seeds = compared.group_by("run", maintain_order=True).agg(pl.struct("seed", "fold").n_unique().alias("seeds"))
    most = 0
    look = 0
    for number in seeds["seeds"]:
        if number > most:
            most, look = number, look + 1
    return max(look, 1)
