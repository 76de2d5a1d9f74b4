"""What a recorded sweep has found, for a notebook: its answer, frames, figures and report."""

import html
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layersweep.formatting import count
from layersweep.records.errors import ResultsError

if TYPE_CHECKING:
    import polars as pl

    from layersweep.studies.study import Findings

REPORT_BYTES: Final = 4 << 20
"""A notebook keeps what it shows: a larger report is only named."""

_HEIGHT: Final = 720
_WIDTH: Final = 100
_SANDBOX: Final = "allow-scripts allow-downloads allow-popups"


@dataclass(frozen=True)
class Picture:
    """A figure of a study: a notebook shows it.

    Attributes:
        png: the picture.
    """

    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"Picture({count(len(self.png), 'byte')})"


class Result:
    """A recorded sweep; `ls.run` returns it, and `ls.Result("results", "optimizers")` reads one again.

    A notebook shows its report. Its values are those that are recorded when they are read first.

    Args:
        folder: the results folder.
        sweep: the name of the sweep.
        complete: whether its call has run all that it was to run, and nothing has failed.

    Raises:
        ResultsError: by the attributes, if the sweep is not recorded.
    """

    def __init__(self, folder: Path | str, sweep: str, *, complete: bool = True) -> None:
        self.folder, self.sweep, self.complete = Path(folder), sweep, complete

    @cached_property
    def _findings(self) -> "list[Findings]":
        """The findings; one for each group of arms, usually one."""
        from layersweep.studies.study import findings_of

        return [*findings_of(self.folder, self.sweep)]

    @cached_property
    def answer(self) -> str:
        """The answer to the sweep's question; a line for each group of arms."""
        from layersweep.studies.wording.answer_sentences import answer

        texts = [(findings.group, answer(findings.comparison)) for findings in self._findings]
        return "\n".join(text if group is None else f"{group.key} {group.value}: {text}" for group, text in texts)

    @cached_property
    def arms(self) -> "pl.DataFrame":
        """The comparison: a row for each arm."""
        import polars as pl

        frames = [
            findings.comparison.arms
            if findings.group is None
            else findings.comparison.arms.with_columns(pl.lit(findings.group.value).alias(findings.group.key))
            for findings in self._findings
        ]
        return pl.concat(frames, how="diagonal_relaxed")

    @cached_property
    def results(self) -> "pl.DataFrame":
        """The table `results`: a row for each arm, seed (or fold) and epoch that the study compares, nothing else."""
        from layersweep.records.derived.results_table import read_results

        return read_results(self.folder, self.sweep)

    @cached_property
    def trials(self) -> "pl.DataFrame":
        """The table `trials`, with the last row of each trial alone: how it ended."""
        rows = self._table("trials").sort(
            "attempt", "continuation", maintain_order=True
        )  # a merge writes another order
        return rows.unique("trial_id", keep="last", maintain_order=True)

    @cached_property
    def epochs(self) -> "pl.DataFrame":
        """The table `epochs`: a row for each epoch of each attempt of each trial."""
        return self._table("epochs")

    @cached_property
    def failed_trials(self) -> "pl.DataFrame":
        """The trials that failed, with their errors; the same call runs them again."""
        import polars as pl

        failed = self.trials.filter(pl.col("outcome") == "failed")
        return failed.select("trial_id", "arm", "seed", "epochs", "error_type", "error_message")

    def figures(self) -> dict[str, Picture]:
        """The figures of the study by file name, as pictures that a notebook shows."""
        return {
            name: Picture(png)
            for findings in self._findings
            for name, png in findings.pictures().items()
            if name.endswith(".png")
        }

    def show(self) -> None:
        """Prints the answer and the table of arms; a notebook shows the figure of the comparison as well."""
        from layersweep.studies.study import print_comparison
        from layersweep.terminal import call_console, in_notebook

        console = call_console(width=_WIDTH)
        for findings in self._findings:
            if findings.group is not None:
                console.print(f"{findings.group.key} {findings.group.value}")
            print_comparison(findings, console)
        if in_notebook():
            import IPython.display

            display: Any = IPython.display.display
            figures = self.figures()
            display(*(figures[name] for f in self._findings if (name := f"{f.name}.png") in figures))

    def __repr__(self) -> str:
        try:
            failed = self.failed_trials.height
            parts = [self.answer, f"{count(failed, 'trial')} failed." if failed else ""]
        except ResultsError as error:
            return str(error)
        return " ".join(filter(None, [*parts, "" if self.complete else "Not complete: the same call goes on."]))

    def _repr_html_(self) -> str:
        """The report; what a notebook shows."""
        try:
            pages = [findings.page() for findings in self._findings]
        except ResultsError as error:
            return f"<p>{html.escape(str(error))}</p>"
        if sum(map(len, pages)) > REPORT_BYTES:
            where = ", ".join(str(self.folder / "studies" / f"{findings.name}.html") for findings in self._findings)
            return (
                f"<p>{html.escape(repr(self))}</p><p>The report is too large for a notebook: {html.escape(where)}</p>"
            )
        return "".join(
            f'<iframe srcdoc="{html.escape(page)}" sandbox="{_SANDBOX}" title="report of {html.escape(self.sweep)}" '
            f'style="width: 100%; height: {_HEIGHT}px; border: 0"></iframe>'
            for page in pages
        )

    def _table(self, name: str) -> "pl.DataFrame":
        """The rows of a table that belong to the sweep's trials, whichever sweep has trained them."""
        import polars as pl

        from layersweep.records.read import read

        ids = read(self.folder, "plan", self.sweep, columns=["trial_id"])["trial_id"].unique().to_list()
        if not ids:
            raise ResultsError(f"no results of sweep {self.sweep!r} in {self.folder.absolute()}")
        return read(self.folder, name).filter(pl.col("trial_id").is_in(ids))
