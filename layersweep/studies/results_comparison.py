"""Compares what two results folders say of one sweep: a table of differences, and one page with both."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.formatting import capitalized
from layersweep.records.errors import ResultsError
from layersweep.records.metrics import METRICS

if TYPE_CHECKING:
    from layersweep.records.study_question import StudyQuestion
    from layersweep.studies.statistics.result_differences import ResultDifference
    from layersweep.terminal import Console

_RULE: Final = (
    "Differences are second minus first, with t intervals for unequal variances, which hold for all arms at once. "
    "“Undecided” means that the trainings show no difference."
)
_COLUMNS: Final = ("arm", "first", "second", "difference", "verdict")


def write_results_comparison(
    folders: tuple[Path, Path], sweep: str, out: Path, console: "Console", *, metric: str | None = None
) -> None:
    """Prints the differences, and writes `<sweep>_compared.html` into a folder.

    Args:
        folders: the results folders, the first one first.
        sweep: the sweep that both have recorded.
        out: the folder of the page.
        console: where to print.
        metric: what to judge by; None for that of the sweep, which must be the same one in both.

    Raises:
        ResultsError: if a folder has not recorded the sweep or the metric, they judge by different metrics, or share no
            arm.
    """
    from layersweep.escaping import to_html
    from layersweep.studies.pages import comparison_page, page, view_page
    from layersweep.studies.pages.page_values import page_values
    from layersweep.studies.recorded_comparison import load
    from layersweep.studies.statistics.judgement import Criteria
    from layersweep.studies.statistics.result_differences import result_differences
    from layersweep.studies.views.combination import combine
    from layersweep.studies.views.payload import report_payload
    from layersweep.studies.wording.terminal_table import table

    questions = _questions(folders, sweep, metric)
    comparisons = [
        load(folder, sweep, criteria=Criteria(metric=question.metric))[0]
        for folder, question in zip(folders, questions, strict=True)
    ]
    differences = result_differences(*(comparison.arms.to_dicts() for comparison in comparisons))
    if not differences:
        raise ResultsError(f"no arm of {sweep!r} has a mean in both {folders[0]} and {folders[1]}")
    names = _names(folders)
    rows = [_cells(difference) for difference in differences]
    judged = METRICS[questions[0].metric].name
    rule = f"Judged by {judged}. {_RULE}"
    console.print(table(_COLUMNS, rows, f"{sweep}: first is {names[0]}, second is {names[1]}", note=rule))
    payloads = [
        {**report_payload(folder, sweep, question, comparison), "sweep": name}
        for folder, question, comparison, name in zip(folders, questions, comparisons, names, strict=True)
    ]
    caption = f"{capitalized(judged)} of the arms that both results have"
    heading = f"<h2>{to_html(names[1])} against {to_html(names[0])}</h2>"
    sections = [heading, page.paragraph(rule), page.table(_COLUMNS, rows, caption)]
    file = out / f"{sweep}_compared.html"
    comparison_page.write(file, view_page.html(page_values(combine(payloads)), sections=sections))
    console.print(f"study    {file}", soft_wrap=True)


def _questions(folders: Sequence[Path], sweep: str, metric: str | None) -> "list[StudyQuestion]":
    """What the sweep asks in each folder, with the same metric."""
    from layersweep.studies.earlier_records import question_of

    questions = [question_of(folder, sweep) for folder in folders]
    if metric is not None:
        return [replace(question, metric=metric) for question in questions]
    if len(metrics := {question.metric for question in questions}) > 1:
        both = " and ".join(sorted(metrics))
        raise ResultsError(
            f"the results judge {sweep!r} by {both}: they cannot be compared; --metric names one for both"
        )
    return questions


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ."""
    paths = [folder.absolute().parts for folder in folders]
    for length in range(1, max(map(len, paths)) + 1):
        names = ["/".join(parts[-length:]) for parts in paths]
        if names[0] != names[1]:
            return names
    return ["first", "second"]


def _cells(difference: "ResultDifference") -> list[str]:
    from layersweep.studies.wording.number_formats import share, signed

    arm, first, second, low, high = astuple(difference)
    interval = "" if low is None or high is None else f" ({signed(low, 3)} to {signed(high, 3)})"
    return [arm, share(first), share(second), signed(difference.difference, 3) + interval, difference.verdict]
