"""The views of one sweep, from records that are read again and again."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from layersweep.studies.statistics.arm_comparison import Comparison
    from layersweep.studies.statistics.judgement import Criteria
    from layersweep.studies.views.preparer import ViewPreparer

_LOG_BYTES: Final = 4096


class LiveViews:
    """The views of a sweep (a `Source`).

    The comparison of the arms is dear: it is computed anew only when a run of the sweep has ended, or, while none runs,
    when the records have changed.

    Args:
        results: the results folder.
        sweep: the name of the sweep.
    """

    def __init__(self, results: Path, sweep: str) -> None:
        from layersweep.records.live_records import LiveRecords

        self._results, self._sweep = results, sweep
        self._records = LiveRecords(results, sweep)
        self._look: tuple[object, Comparison | None] = (None, None)
        self._preparer: tuple[int, ViewPreparer] | None = None
        self._groups: Collection[str] = ()
        self._criteria: Criteria | None = None
        self._is_running, self._is_complete, self._revision = False, False, 0

    def refresh(self) -> bool:
        """Reads what is new in the records; returns whether the views are to be computed anew.

        Raises:
            ResultsError: if the sweep is not recorded, or cannot be read.
        """
        from layersweep.records.lock import is_busy
        from layersweep.records.overview import check_recorded

        was_running, self._is_running = self._is_running, is_busy(self._results, self._sweep)
        is_new = self._records.refresh()
        if all(table.is_empty() for table in self._records.tables.values()):
            check_recorded(self._results, self._sweep)
        if is_new:
            self._revision += 1
        return is_new or was_running or self._is_running  # while it runs, the time goes on

    def payload(self) -> Mapping[str, Any]:
        """The values of all views.

        Raises:
            ResultsError: if the records cannot be read.
        """
        preparer, notes = self._view_preparer(), self._records.notes
        changed = self._records.take_changes() if self._is_complete else None
        self._is_complete = False
        comparison = self._comparison()
        if self._groups:
            notes = [*notes, f"arms of unlike {' and '.join(self._groups)} are compared by `layersweep study` alone"]
        payload = preparer.prepare(
            self._records.tables, comparison, is_running=self._is_running, changed=changed, notes=notes
        )
        self._is_complete = True
        return payload

    def _view_preparer(self) -> "ViewPreparer":
        """The preparer of the sweep's question, which the first run records."""
        from layersweep.studies.earlier_records import question_of
        from layersweep.studies.statistics.judgement import Criteria
        from layersweep.studies.views.preparer import ViewPreparer

        runs = self._records.tables["runs"].height
        if self._preparer is None or (not self._preparer[0] and runs):
            question = question_of(self._results, self._sweep)
            self._criteria = Criteria(metric=question.metric)  # refuses a metric that this version does not know
            self._preparer = runs, ViewPreparer(self._results, self._sweep, question)
            self._groups, self._is_complete = tuple(question.apart), False
        return self._preparer[1]

    def details(self, trial_id: str) -> Mapping[str, Any]:
        """The details of one trial.

        Raises:
            ResultsError: if the records cannot be read.
        """
        from layersweep.studies.views.trial_details import complete_configs, leading_config, trial_details

        configs = complete_configs(self._records.tables, [trial_id])
        leader = leading_config(self._look[1], self._records.tables)
        details = trial_details(self._results, [trial_id], configs, leader, log_bytes=_LOG_BYTES)
        return dict(details[trial_id])

    def _comparison(self) -> "Comparison | None":
        """The comparison of the last finished look."""
        from layersweep.studies.recorded_comparison import load, load_last_look

        if self._groups or all(self._records.tables[name].is_empty() for name in ("plan", "trials")):
            return None
        runs = self._records.tables["runs"]
        mark = (runs["event"] == "end").sum() if self._is_running else ("ended", self._revision)
        if self._look[0] != mark:
            read_look = load_last_look if self._is_running else load
            look = read_look(self._results, self._sweep, criteria=self._criteria)
            self._look = mark, None if look is None else look[0]
        return self._look[1]
