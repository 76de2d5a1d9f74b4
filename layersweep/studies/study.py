"""Answers what a recorded sweep asks: a table and an answer in words, a page, a picture.

Its question, and what is shown besides the comparison of its arms, are recorded with its runs.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import tyro

from layersweep.records.errors import ResultsError
from layersweep.studies.sections import registry

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from layersweep.studies.sections.section import Extra
    from layersweep.studies.statistics.arm_comparison import Comparison

_WIDTH: Final = 100
_NEEDED: Final = (
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.figure", "scipy.stats",
    "layersweep.studies.pages.comparison_page", "layersweep.studies.earlier_records",
)  # fmt: skip


class Part(NamedTuple):
    """The arms whose configuration has this value of a key; `default` where it does not say."""

    key: str
    value: str
    default: str

    def holds(self, config_json: str | None) -> bool:
        """Whether a configuration belongs to it."""
        return _value(config_json, self.key, self.default) == self.value


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a study has found of a sweep, or of those of its arms that are compared with each other.

    Attributes:
        name: what its files are called.
        title: the question.
        part: the arms, if not all.
        found: their comparison.
        runs: the rows of the table `runs` that trained them.
        extras: what is shown besides.
    """

    name: str
    title: str
    part: Part | None
    found: "Comparison"
    runs: "pl.DataFrame"
    extras: "Sequence[Extra]"

    def page(self) -> str:
        """All of it, as HTML."""
        from layersweep.studies.pages import comparison_page

        sections = [section for extra in self.extras for section in extra.sections]
        return comparison_page.html(self.found, question=self.title, runs=self.runs, more=sections)

    def pictures(self) -> dict[str, bytes]:
        """Every figure as a PNG, by file name; none if no trial has finished an epoch."""
        from layersweep.studies.figures import comparison_figures, learning_rates

        drawn = self.found.replicates.curves.height or learning_rates.drawn(self.found)
        own = {f"{self.name}.png": comparison_figures.picture(self.found)} if drawn else {}
        return own | {f"{self.name}_{suffix}": png for extra in self.extras for suffix, png in extra.files.items()}


def answer(results: Path, sweep: str, *, out: Path | None = None, console: "Console | None" = None) -> None:
    """Prints the table and the answer; writes the page and the pictures into `out` (`<results>/studies`).

    Raises:
        ResultsError: if there are no results of that sweep; names the path and the sweeps that there are.
    """
    from rich.console import Console

    from layersweep.studies.pages import comparison_page

    folder = out or results / "studies"
    console = console or Console(width=None if sys.stdout.isatty() else _WIDTH)
    for findings in findings_of(results, sweep):
        if findings.part is not None:
            console.rule(f"{findings.part.key} {findings.part.value}", align="left", style="dim")
        show(findings.found, console)
        for renderable in (renderable for extra in findings.extras for renderable in extra.printed):
            console.print(renderable)
        files: dict[str, str | bytes] = {f"{findings.name}.html": findings.page(), **findings.pictures()}
        for file, content in files.items():
            comparison_page.write(folder / file, content)
            console.print(f"study    {folder / file}", soft_wrap=True, highlight=False, markup=False)


def findings_of(results: Path, sweep: str) -> Iterator[Findings]:
    """What is found of a sweep; more than once where arms are not to be compared with each other.

    Raises:
        ResultsError: as by `answer`.
    """
    from layersweep.records.read import read
    from layersweep.studies.earlier_records import question_of, sections_of

    asked = question_of(results, sweep)
    texts = read(results, "plan", sweep, columns=("config_json",))["config_json"] if asked.apart else ()
    parts: list[Part | None] = [
        Part(key, value, default)
        for key, default in asked.apart.items()
        for value in dict.fromkeys(_value(text, key, default) for text in texts)
    ]
    for part in parts or [None]:
        found, runs = load(results, sweep, part)
        names = sections_of(found) if asked.sections is None else asked.sections
        yield Findings(
            name=f"{sweep}_{part.key}_{part.value}" if part else sweep,
            title=f"{asked.text} ({part.key} {part.value})" if part else asked.text,
            part=part,
            found=found,
            runs=runs,
            extras=[registry.shown(name, found, results, asked.reported) for name in (*names, *registry.ALWAYS)],
        )


def prepare(sections: Sequence[str]) -> None:
    """Imports what a study with these sections needs, a second or two: a sweep does it while its trials run."""
    for name in _NEEDED:
        importlib.import_module(name)
    registry.prepare(sections)


def main(arguments: Sequence[str]) -> int:
    """`layersweep study NAME`; returns the exit code.

    Raises:
        ResultsError: if there is nothing to read.
    """
    options = tyro.cli(Options, args=list(arguments), prog="layersweep study", description=__doc__)
    answer(options.results, options.sweep, out=options.out)
    return 0


def _value(config_json: str | None, key: str, default: str) -> str:
    """A configuration's value of a key, as text."""
    from layersweep.studies.statistics.replicates import configuration

    return str(configuration(config_json).get(key, default))


def load(results: Path, sweep: str, part: Part | None = None) -> "tuple[Comparison, pl.DataFrame]":
    """Compares what is recorded of a sweep, or of a part of its arms; with the `runs` that trained it.

    A trial that several sweeps ask for is trained once: its rows may lie in any of their folders, or in several.

    Raises:
        ResultsError: if nothing of that sweep is recorded.
    """
    import polars as pl

    from layersweep.records.read import read, sweeps
    from layersweep.studies.statistics.arm_comparison import compare
    from layersweep.studies.statistics.replicates import EPOCH_COLUMNS
    from layersweep.studies.wording.provenance import runs_of

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
    if part is not None:
        plan = plan.filter(pl.Series([part.holds(text) for text in plan["config_json"]], dtype=pl.Boolean))
    found = compare(plan, trials, epochs, tests)
    return found, runs_of(found, read(results, "runs"), trials)


def show(found: "Comparison", console: "Console") -> None:
    """Prints the table, the answer, and what a reader should know before believing it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from layersweep.studies.statistics.tuning_candidates import shown_keys
    from layersweep.studies.wording.tuning_sentences import sentences, settings_column
    from layersweep.studies.wording.words import answer, on_the_test_set, verdict, with_spread
    from layersweep.words import count

    rows = found.arms.to_dicts()
    columns = {
        "arm": [row["arm"] for row in rows],
        f"at {count(found.epoch, 'epoch')}": [with_spread(row["mean"], row["sd"], row["n"]) for row in rows],
    }
    if found.common_epoch is not None:
        on = f"\n({found.common_on})" if found.common_on else ""
        columns[f"all at epoch {found.common_epoch}{on}"] = [
            with_spread(row["common_mean"], row["common_sd"], row["common_n"]) for row in rows
        ]
    for name in ("epochs", "seconds", *(("tuning_epochs", "tuning_seconds") if found.tunings else ())):
        columns[name.replace("_", "\n")] = ["" if row[name] is None else f"{row[name]:,.0f}" for row in rows]
    if shown_keys(found.tunings):
        heading, chosen = settings_column(found)
        columns[heading.replace(" ", "\n")] = chosen
    columns["verdict"] = [verdict(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        words = name in ("arm", "settings", "verdict")
        table.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True):
        table.add_row(*map(Text, cells), style="bold" if row["verdict"] in ("best", "tied") else "")
    over = "folds" if found.replicates.rows["fold"].drop_nulls().len() else "seeds"
    console.print(Text(f"validation accuracy: mean ± standard deviation ({over})", style="dim"))
    console.print(table)
    for text in filter(None, (answer(found), on_the_test_set(found), *sentences(found))):
        console.print(Text(text))
    for text in found.warnings:
        console.print(Text(f"note: {text}", style="yellow"))


@dataclass(frozen=True, kw_only=True)
class Options:
    """Reads the records, prints a table, writes a page."""

    results: Path = Path("results")
    """The results folder."""
    sweep: tyro.conf.Positional[str]
    """The sweep whose records are read."""
    out: Path | None = None
    """Where the page and the picture go; below the results, in studies/, unless given."""
