"""What every comparison of arms does with its records: a table and an answer in words, a page, a picture.

A question's own file in this folder gives its name and its question, and adds what it alone asks.
"""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from records.errors import ResultsError

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from studies.compare import Comparison

_WIDTH: Final = 100
_NEEDED: Final = (
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.figure", "scipy.stats",
    "studies.compare", "studies.figures", "studies.provenance", "studies.rates", "studies.report",
    "studies.tuned_words", "studies.words",
)  # fmt: skip


More = Callable[["Comparison", "Console", Path], list[Path]]
"""Prints what a question asks besides, and writes figures of it into a folder; returns their paths."""


def study(
    results: Path,
    sweep: str,
    *,
    question: str,
    out: Path | None = None,
    console: "Console | None" = None,
    more: More | None = None,
) -> None:
    """Prints the table and the answer; writes `<sweep>.html` and `<sweep>.png` into `out` (`<results>/studies`).

    Raises:
        ResultsError: if there are no results of that sweep; names the path and the sweeps that there are.
    """
    from rich.console import Console

    from studies import figures, rates, report

    console = console or Console(width=None if sys.stdout.isatty() else _WIDTH)
    found, runs = load(results, sweep)
    folder = out or results / "studies"
    show(found, console)
    written = [folder / f"{sweep}.html"]
    report.write(written[0], report.html(found, question=question, runs=runs))
    if found.replicates.curves.height or rates.drawn(found):
        written.append(folder / f"{sweep}.png")
        report.write(written[1], figures.picture(found))
    if more is not None:
        written += more(found, console, folder)
    for path in written:
        console.print(f"study    {path}", soft_wrap=True, highlight=False, markup=False)


def prepare() -> None:
    """Imports what `study` needs, a second or two: a sweep does it while its trials run."""
    for name in _NEEDED:
        importlib.import_module(name)


def load(results: Path, sweep: str) -> "tuple[Comparison, pl.DataFrame]":
    """Compares what is recorded of a sweep; with the `runs` that trained it.

    A trial that several sweeps ask for is trained once: its rows may lie in any of their folders, or in several.

    Raises:
        ResultsError: if nothing of that sweep is recorded.
    """
    import polars as pl

    from records.read import read, sweeps
    from studies.compare import compare
    from studies.provenance import runs_of
    from studies.replicates import EPOCH_COLUMNS

    def rows(name: str, of: str | None) -> pl.DataFrame:
        return read(results, name, of, columns=EPOCH_COLUMNS if name == "epochs" else None)

    plan, trials, epochs, tests = (rows(name, sweep) for name in ("plan", "trials", "epochs", "tests"))
    if not plan.height and not trials.height:
        names = sorted({*sweeps(results, "plan"), *sweeps(results, "trials")})
        there = f"sweeps there: {', '.join(names)}" if names else "no sweep is recorded there"
        raise ResultsError(f"no results of sweep {sweep!r} below {results.absolute()}; {there}")
    if {*sweeps(results, "trials"), *sweeps(results, "epochs")} - {sweep}:
        mine = pl.col("trial_id").is_in((plan if plan.height else trials)["trial_id"].unique().to_list())
        trials, epochs, tests = (rows(name, None).filter(mine) for name in ("trials", "epochs", "tests"))
    found = compare(plan, trials, epochs, tests)
    return found, runs_of(found, read(results, "runs"), trials)


def show(found: "Comparison", console: "Console") -> None:
    """Prints the table, the answer, and what a reader should know before believing it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from studies.tuned_words import sentences, settings_column
    from studies.words import answer, count, on_the_test_set, verdict, with_spread

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title_style="")
    table.add_column("arm", overflow="fold")
    table.add_column(f"at {count(found.epoch, 'epoch')}", justify="right", no_wrap=True)
    if found.common_epoch is not None:
        on = f"\n({found.common_on})" if found.common_on else ""
        table.add_column(f"all at epoch {found.common_epoch}{on}", justify="right", no_wrap=True)
    tuned = [f"tuning\n{name}" for name in ("epochs", "seconds")] if found.tunings else []
    for name in ("epochs", "seconds", *tuned):
        table.add_column(name, justify="right", no_wrap=True)
    heading, chosen = settings_column(found)
    if tuned:
        table.add_column(heading.replace(" ", "\n"), justify="right" if heading != "settings" else "left")
    table.add_column("verdict")
    for row, values in zip(found.arms.to_dicts(), chosen, strict=True):
        cells = [row["arm"], with_spread(row["mean"], row["sd"], row["n"])]
        if found.common_epoch is not None:
            cells.append(with_spread(row["common_mean"], row["common_sd"], row["common_n"]))
        cells += [f"{row['epochs']:,}", f"{row['seconds']:,.0f}"]
        if tuned:
            spent = (row["tuning_epochs"], row["tuning_seconds"])
            cells += [*("" if value is None else f"{value:,.0f}" for value in spent), values]
        cells.append(verdict(row))
        table.add_row(*map(Text, cells), style="bold" if row["verdict"] in ("best", "tied") else "")
    console.print(Text("validation accuracy: mean ± standard deviation (seeds)", style="dim"))
    console.print(table)
    for text in filter(None, (answer(found), on_the_test_set(found), *sentences(found))):
        console.print(Text(text))
    for text in found.warnings:
        console.print(Text(f"note: {text}", style="yellow"))


def main(sweep: str, study: Callable[..., None], description: str | None) -> int:
    """The command of a study; returns the exit code: 2 if there is nothing to read.

    Args:
        sweep: the sweep whose records are read, unless the command says otherwise.
        study: called with the results folder, the sweep's name and `out`.
        description: what `--help` says.
    """
    import tyro

    options = tyro.cli(Options, default=Options(sweep=sweep), description=description)
    try:
        study(options.results, options.sweep, out=options.out)
    except ResultsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


@dataclass(frozen=True, kw_only=True)
class Options:
    """Reads the records, prints a table, writes a page."""

    results: Path = Path("results")
    """The results folder."""
    sweep: str
    """The sweep whose records are read."""
    out: Path | None = None
    """Where the page and the picture go; below the results, in studies/, unless given."""
