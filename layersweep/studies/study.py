"""Answers the question of a recorded sweep: prints a table and the answer, writes a page and figures.

The question and the sections of the study are recorded with the runs of the sweep.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tyro

from layersweep.escaping import to_file_name
from layersweep.exit_codes import OK
from layersweep.records.errors import ResultsError
from layersweep.studies.compared_results import update_results
from layersweep.studies.recorded_comparison import ArmGroup, comparisons_of
from layersweep.studies.sections import registry

if TYPE_CHECKING:
    import polars as pl

    from layersweep.records.study_question import StudyQuestion
    from layersweep.studies.sections.section import Section
    from layersweep.studies.statistics.arm_comparison import Comparison
    from layersweep.studies.statistics.judgement import Criteria
    from layersweep.terminal import Console

_WIDTH: Final = 100
_MAX_ROWS: Final = 100
"""The number of arms that the table in the terminal shows."""
_MODULES: Final = (
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.figure", "scipy.stats",
    "bokeh.plotting", "bokeh.embed", "bokeh.resources", "layersweep.records.overview",
    "layersweep.studies.figures.comparison_figures", "layersweep.studies.wording.comparison_table",
    "layersweep.studies.pages.comparison_page", "layersweep.studies.views.payload",
    "layersweep.studies.earlier_records", "layersweep.records.derived.results_table", "layersweep.terminal",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The results of a study: of all arms of a sweep, or of one group of arms.

    Attributes:
        results: the results folder.
        sweep: the name of the sweep.
        question: what the sweep asks.
        name: the start of its file names.
        title: the question.
        group: the group of arms; None for all arms.
        comparison: the comparison of the arms.
        runs: the rows of the table `runs` that trained them.
        sections: the other sections of the study.
    """

    results: Path
    sweep: str
    question: "StudyQuestion"
    name: str
    title: str
    group: ArmGroup | None
    comparison: "Comparison"
    runs: "pl.DataFrame"
    sections: "Sequence[Section]"

    def page(self) -> str:
        """The report, as HTML."""
        from layersweep.studies.pages import comparison_page
        from layersweep.studies.views.payload import report_payload

        question = replace(self.question, text=self.title, metric=self.comparison.criteria.metric)
        payload = report_payload(self.results, self.sweep, question, self.comparison, self.group)
        return comparison_page.html(self.comparison, payload, [part for one in self.sections for part in one.html])

    def appendix(self, pictures: "Sequence[str]") -> str:
        """The study as Markdown; `pictures` are the names of its files."""
        from layersweep.studies.wording.appendix import appendix

        answers = [section.answer for section in self.sections]
        return appendix(
            self.comparison, question=self.title, runs=self.runs, pictures=pictures, section_answers=answers
        )

    def pictures(self) -> dict[str, bytes]:
        """All figures as PNG, by file name; empty if no trial has finished an epoch."""
        from layersweep.studies.figures import comparison_figures, learning_rates

        comparison = self.comparison
        has_figure = comparison.replicates.curves.height or learning_rates.tunings_with_axis(comparison)
        figures = {f"{self.name}.png": comparison_figures.picture(comparison)} if has_figure else {}
        files = [item for section in self.sections for item in section.files.items()]
        return figures | {f"{self.name}_{suffix}": png for suffix, png in files}


def write_study(
    results: Path,
    sweep: str,
    *,
    out: Path | None = None,
    console: "Console | None" = None,
    criteria: "Criteria | None" = None,
    markdown: bool = False,
) -> None:
    """Prints the answer and the table; writes the page and the figures into `out` (default: `<results>/studies`).

    With `markdown`, it writes the study as Markdown as well. It writes the sweep's table `results`, too; if the results
    folder is read-only, it says that it did not.

    Raises:
        ResultsError: if the sweep or the metric is not recorded; the message names the path and what is recorded.
    """
    from layersweep.studies.pages import comparison_page
    from layersweep.terminal import Console

    folder = out or results / "studies"
    console = console or Console(width=None if sys.stdout.isatty() else _WIDTH)
    comparisons = []
    for findings in findings_of(results, sweep, criteria):
        comparisons.append((findings.group, findings.comparison))
        if findings.group is not None:
            console.rule(f"{findings.group.key} {findings.group.value}", align="left", style="dim")
        print_comparison(findings, console)
        for renderable in (renderable for section in findings.sections for renderable in section.terminal):
            console.print(renderable)
        pictures = findings.pictures()
        files: dict[str, str | bytes] = {f"{findings.name}.html": findings.page(), **pictures}
        if markdown:
            files[f"{findings.name}.md"] = findings.appendix([*pictures])
        for file, content in files.items():
            comparison_page.write(folder / file, content)
            console.print(f"study    {folder / file}", soft_wrap=True)
    if problem := update_results(results, sweep, comparisons):
        console.print(f"note: {problem}", style="yellow", soft_wrap=True)


def findings_of(results: Path, sweep: str, criteria: "Criteria | None" = None) -> Iterator[Findings]:
    """The findings of a sweep; one for each group of arms if the question splits the arms into groups.

    Args:
        results: the results folder.
        sweep: the name of the sweep.
        criteria: what to judge by; by default the metric of the sweep, and the usual margin.

    Raises:
        ResultsError: as in `write_study`.
    """
    from layersweep.studies.earlier_records import question_of, sections_of
    from layersweep.studies.statistics.judgement import Criteria

    question = question_of(results, sweep)
    criteria = criteria or Criteria(metric=question.metric)
    for group, comparison, runs in comparisons_of(results, sweep, criteria):
        names = sections_of(comparison) if question.sections is None else question.sections
        if not criteria.described_metric.is_share:
            names = ()  # the sections are about shares, of which more is better
        yield Findings(
            results=results,
            sweep=sweep,
            question=question,
            name=to_file_name(f"{sweep}_{group.key}_{group.value}") if group else sweep,
            title=f"{question.text} ({group.key} {group.value})" if group else question.text,
            group=group,
            comparison=comparison,
            runs=runs,
            sections=[
                registry.section(name, comparison, results, question.reported) for name in (*names, *registry.ALWAYS)
            ],
        )


def import_modules(sections: Sequence[str]) -> None:
    """Imports the modules of a study with these sections. It takes a second, so a sweep does it during trials."""
    for name in _MODULES:
        importlib.import_module(name)
    registry.prepare(sections)


def main(arguments: Sequence[str]) -> int:
    """`layersweep study NAME`; returns the exit code.

    Raises:
        ResultsError: if the sweep is not recorded.
    """
    options = tyro.cli(Options, args=list(arguments), prog="layersweep study", description=__doc__)
    from layersweep.studies.earlier_records import question_of
    from layersweep.studies.statistics.judgement import Criteria

    if options.compare is not None:
        if options.markdown:
            raise ResultsError("--markdown is not for --compare; valid: one of the two")
        from layersweep.studies.results_comparison import write_results_comparison
        from layersweep.terminal import Console

        console = Console(width=None if sys.stdout.isatty() else _WIDTH)
        out = options.out or options.compare[1] / "studies"
        write_results_comparison(options.compare, options.sweep, out, console, metric=options.metric)
        return OK
    metric = options.metric or question_of(options.results, options.sweep).metric
    criteria = Criteria(metric=metric, margin=options.margin)
    write_study(options.results, options.sweep, out=options.out, criteria=criteria, markdown=options.markdown)
    return OK


def print_comparison(findings: Findings, console: "Console") -> None:
    """Prints the answer, the table, how many seeds would decide, and the warnings."""
    from rich import box
    from rich.table import Table

    from layersweep.studies.statistics.judgement import LEADING
    from layersweep.studies.statistics.screening_risk import screening_risk
    from layersweep.studies.wording.answer_sentences import answer, metric_name, seeds_sentence
    from layersweep.studies.wording.comparison_table import narrowest, terminal_columns, terminal_heading
    from layersweep.studies.wording.tuning_sentences import sentences

    comparison = findings.comparison
    console.print(answer(comparison), style="bold")
    for text in comparison.cautions:
        console.print(text, style="yellow")
    rows, columns = comparison.arms.to_dicts(), terminal_columns(comparison, console.width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(
            terminal_heading(column, rows),
            justify="left" if column.is_text else "right",
            overflow="fold",
            no_wrap=not column.is_text,
            min_width=narrowest(column, rows) if column.is_text else None,
        )
    for row in rows[:_MAX_ROWS]:
        cells = [column.terminal_text(row) for column in columns]
        table.add_row(*cells, style="bold" if row["verdict"] in LEADING else "")
    replicates = "folds" if comparison.replicates.rows["fold"].drop_nulls().len() else "seeds"
    caption = f"{metric_name(comparison)}: mean ± standard deviation ({replicates})"
    console.print(caption, style="dim")
    console.print(table)
    if len(rows) > _MAX_ROWS:
        console.print(f"{len(rows) - _MAX_ROWS:,} more arms are on the page.", style="dim")
    screening = screening_risk(comparison).sentence
    for text in filter(None, (seeds_sentence(comparison, findings.runs), screening, *sentences(comparison))):
        console.print(text, soft_wrap="\n" in text)
    for text in comparison.warnings:
        console.print(f"note: {text}", style="yellow")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Prints the table and the answer of a recorded sweep; writes a page and figures."""

    results: Path = Path("results")
    """The results folder."""
    sweep: tyro.conf.Positional[str]
    """The name of the recorded sweep."""
    out: Path | None = None
    """The folder for the page and the figures; studies/ in the results folder by default."""
    margin: float = 0.01
    """The difference that does not matter to you: an arm within it is as good as the leader."""
    metric: str | None = None
    """val_accuracy, val_loss, val_balanced_accuracy or val_macro_f1; that of the sweep by default. Effects and costs
    are not shown for val_loss."""
    compare: tuple[Path, Path] | None = None
    """Two results folders: how each arm differs between them, and a page with both."""
    markdown: bool = False
    """Write the study as Markdown as well, for the appendix of a paper; it names the figures beside it."""
