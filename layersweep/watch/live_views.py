"""The views of one sweep, from records that are read again and again."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layersweep.watch.live_sweep import Payload

if TYPE_CHECKING:
    import polars as pl

    from layersweep.studies.statistics.arm_comparison import Comparison
    from layersweep.studies.views.preparer import ViewPreparer

_TABLES: Final = ("plan", "runs", "trials", "epochs")
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
        self._results, self._sweep = results, sweep
        self._tables: Mapping[str, pl.DataFrame] = {}
        self._mark: object = None
        self._preparer: ViewPreparer | None = None
        self._look: tuple[object, Comparison | None] = (None, None)
        self._is_running = False

    def refresh(self) -> bool:
        """Reads what is new in the records; returns whether anything is, or the sweep has ended.

        Raises:
            ResultsError: if the sweep is not recorded, or cannot be read.
        """
        from layersweep.records.lock import is_held
        from layersweep.records.overview import check_recorded
        from layersweep.records.read import parts, read

        is_running = is_held(self._results, self._sweep)
        mark = [part.name for table in _TABLES for part in parts(self._results / table / self._sweep)], is_running
        if mark == self._mark:
            return is_running  # the time goes on
        check_recorded(self._results, self._sweep)
        self._tables = {name: read(self._results, name, self._sweep) for name in _TABLES}
        self._mark, self._is_running = mark, is_running
        return True

    def payload(self) -> Payload:
        """The values of all views.

        Raises:
            ResultsError: if the records cannot be read.
        """
        from layersweep.studies.earlier_records import question_of
        from layersweep.studies.views.preparer import ViewPreparer

        if self._preparer is None:
            self._preparer = ViewPreparer(self._results, self._sweep, question_of(self._results, self._sweep))
        return self._preparer.prepare(self._tables, self._comparison(), is_running=self._is_running)

    def details(self, trial_id: str) -> Mapping[str, Any]:
        """The details of one trial.

        Raises:
            ResultsError: if the records cannot be read.
        """
        from layersweep.studies.views.trial_details import trial_details

        configs = dict(self._tables["plan"].select("trial_id", "config_json").rows())
        leader = self._leader_config(configs)
        details = trial_details(self._results, [trial_id], configs, leader, log_bytes=_LOG_BYTES)
        return dict(details[trial_id])

    def _leader_config(self, configs: Mapping[str, str | None]) -> str | None:
        """The configuration of the leading arm; None before the first look."""
        comparison = self._look[1]
        if comparison is None or comparison.arms.is_empty():
            return None
        rows = comparison.replicates.rows
        ids = rows.filter(rows["arm"] == comparison.arms["arm"][0])["trial_id"]
        return next((configs[trial_id] for trial_id in ids if trial_id in configs), None)

    def _comparison(self) -> "Comparison | None":
        """The comparison of the last finished look."""
        from layersweep.studies.earlier_records import question_of
        from layersweep.studies.recorded_comparison import load, load_last_look
        from layersweep.studies.statistics.judgement import Criteria

        runs = self._tables["runs"]
        ended_runs = (runs["event"] == "end").sum()
        mark = ended_runs if self._is_running else self._mark
        if self._look[0] != mark:
            criteria = Criteria(metric=question_of(self._results, self._sweep).metric)
            if self._is_running:
                look = load_last_look(self._results, self._sweep, criteria=criteria)
            else:
                look = load(self._results, self._sweep, criteria=criteria)
            self._look = mark, None if look is None else look[0]
        return self._look[1]
