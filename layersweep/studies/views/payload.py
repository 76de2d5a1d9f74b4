"""The values of all views of a recorded sweep, as JSON can carry them."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from layersweep.records.live_records import LiveRecords
from layersweep.records.read import DamagedPartWarning
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.earlier_records import question_of
from layersweep.studies.recorded_comparison import ArmGroup, load
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.views.preparer import ViewPreparer
from layersweep.studies.views.trial_details import trial_details

_MOST_DETAILS: Final = 150
_LOG_BYTES: Final = 200_000


def payload_of(results: Path, sweep: str, *, group: ArmGroup | None = None) -> dict[str, Any]:
    """The payload of a sweep that nothing runs, with the details of its most interesting trials.

    Args:
        results: the results folder.
        sweep: the name of the sweep.
        group: the arms to show, if the question of the sweep splits them into groups; None for all.

    Raises:
        ResultsError: if the sweep is not recorded, or cannot be read.
    """
    question = question_of(results, sweep)
    comparison, _ = load(results, sweep, group=group, criteria=Criteria(metric=question.metric))
    return report_payload(results, sweep, question, comparison, group)


def report_payload(
    results: Path, sweep: str, question: StudyQuestion, comparison: Comparison, group: ArmGroup | None = None
) -> dict[str, Any]:
    """As `payload_of`, for a comparison, of all arms or of a group of them.

    Raises:
        ResultsError: if the tables cannot be read.
    """
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always", DamagedPartWarning)
        records = LiveRecords(results, sweep)
        records.refresh()
    notes = dict.fromkeys([*(str(message.message) for message in messages), *records.notes])
    payload = ViewPreparer(results, sweep, question, group=group).prepare(records.tables, comparison, notes=[*notes])
    return payload | {"details": details(results, records.tables, payload)}


def details(results: Path, tables: Mapping[str, pl.DataFrame], payload: Mapping[str, Any]) -> dict[str, Any]:
    """The details of the trials that a reader looks at first: those that failed, of the leading arm, the best."""
    trials = payload["trials"]
    sign = 1 if payload["higher"] else -1
    order = sorted(
        range(len(trials["id"])),
        key=lambda i: (
            trials["state"][i] != "failed",
            trials["arm"][i],
            -sign * trials["best"][i] if trials["best"][i] is not None else float("inf"),
        ),
    )
    ids = [trials["id"][i] for i in order[:_MOST_DETAILS]]
    configs = dict(tables["plan"].select("trial_id", "config_json").rows())
    leader = next((i for i in range(len(trials["id"])) if trials["arm"][i] == 0), None)
    leader_config = configs.get(trials["id"][leader]) if leader is not None else None
    return trial_details(results, ids, configs, leader_config, log_bytes=_LOG_BYTES)
