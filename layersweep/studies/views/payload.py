"""The values of all views of a recorded sweep, as JSON can carry them."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from layersweep.records.live_records import LiveRecords
from layersweep.records.lock import is_busy
from layersweep.records.read import DamagedPartWarning
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.earlier_records import question_of
from layersweep.studies.recorded_comparison import ArmGroup, load
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.views.preparer import ViewPreparer
from layersweep.studies.views.trial_details import complete_configs, leading_config, trial_details

_STILL_RUNNING: Final = "The sweep runs: the verdicts are about what it has recorded by now."
_MOST_DETAILS: Final = 150
_LOG_BYTES: Final = 200_000


def payload_of(results: Path, sweep: str, *, group: ArmGroup | None = None) -> dict[str, Any]:
    """The payload of all that is recorded of a sweep, with the details of its most interesting trials.

    Args:
        results: the results folder.
        sweep: the name of the sweep.
        group: the arms to show, if the question of the sweep splits them into groups; None for all.

    Raises:
        ResultsError: if the sweep is not recorded, or cannot be read.
    """
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always", DamagedPartWarning)
        question = question_of(results, sweep)
        comparison, _ = load(results, sweep, group=group, criteria=Criteria(metric=question.metric))
    notes = [str(message.message) for message in messages if issubclass(message.category, DamagedPartWarning)]
    return report_payload(results, sweep, question, comparison, group, notes=notes)


def report_payload(
    results: Path,
    sweep: str,
    question: StudyQuestion,
    comparison: Comparison,
    group: ArmGroup | None = None,
    *,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """As `payload_of`, for a comparison, of all arms or of a group of them.

    Raises:
        ResultsError: if the tables cannot be read.
    """
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always", DamagedPartWarning)
        records = LiveRecords(results, sweep)
        records.refresh()
        preparer = ViewPreparer(results, sweep, question, group=group)
        payload = preparer.prepare(records.tables, comparison, is_running=is_busy(results, sweep))
        payload["state"]["look"] = _STILL_RUNNING if payload["state"]["running"] else ""
        payload["details"] = _details(results, records.tables, payload, comparison)
    damage = [str(message.message) for message in messages if issubclass(message.category, DamagedPartWarning)]
    return payload | {"notes": [*dict.fromkeys([*notes, *records.notes, *damage]), *payload["notes"]]}


def _details(
    results: Path, tables: Mapping[str, pl.DataFrame], payload: Mapping[str, Any], comparison: Comparison
) -> dict[str, Any]:
    """The details of the trials that a reader looks at first: those that failed, of the leading arms, the best."""
    leading_arms = [row["arm"] for row in comparison.leading_arms]
    leading_arms.sort(key=lambda arm: arm != comparison.leader["arm"])
    ranks = {payload["arm_names"].index(arm): rank for rank, arm in enumerate(leading_arms)}
    trials, sign = payload["trials"], 1 if payload["higher"] else -1

    def rank(place: int) -> tuple[bool, int, float]:
        best = trials["best"][place]
        return (
            trials["state"][place] != "failed",
            ranks.get(trials["arm"][place], len(ranks)),
            math.inf if best is None else -sign * best,
        )

    ids = [trials["id"][place] for place in sorted(range(len(trials["id"])), key=rank)[:_MOST_DETAILS]]
    configs, leader = complete_configs(tables, ids), leading_config(comparison, tables)
    return trial_details(results, ids, configs, leader, log_bytes=_LOG_BYTES)
