"""Writes a sweep for TensorBoard: one folder a trial, with its curves and its hyperparameters.

A trial's file is a function of its records alone: a repeated export compares the bytes, and replaces a file whose trial
has changed. TensorBoard's own writer imports TensorFlow, if that is installed, so only its record format is used.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from layersweep.exporters.sweep_values import FAILED_STATES, Changes, SweepValues, Trial, folder_name
from layersweep.records.overview import UNFINISHED

_FILE: Final = "events.out.tfevents.layersweep"


def write(values: SweepValues, out: Path, progress: Callable[[Iterable[Trial]], Iterable[Trial]]) -> Changes:
    """Writes the trials to `out`, below a folder with the name of the sweep.

    Raises:
        OSError: if a file cannot be written.
    """
    folder = out / values.folder
    changes = Changes(place=folder)
    folder.mkdir(exist_ok=True)
    folders = {path.name.rpartition(" ")[2]: path for path in folder.iterdir() if path.is_dir()}
    for trial in progress(values.trials):
        place = folder / f"{folder_name(trial.title)} {trial.file_id}"
        earlier = folders.get(trial.file_id)
        if earlier is not None and earlier != place:  # its arm has another name now
            earlier.rename(place)
        place.mkdir(exist_ok=True)
        content, file = _content(trial), place / _FILE
        if not file.exists():
            changes.added += 1
        elif file.read_bytes() == content:
            changes.unchanged += 1
            continue
        else:
            changes.changed += 1
        temporary = place / f".{_FILE}.tmp"
        try:
            temporary.write_bytes(content)
            temporary.replace(file)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return changes


def _content(trial: Trial) -> bytes:
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in _events(trial):
        writer.write(event.SerializeToString(deterministic=True))
    return buffer.getvalue()


def _events(trial: Trial) -> Iterator[Any]:
    start = trial.started_at.timestamp()
    yield Event(wall_time=start, file_version="brain.Event:2")
    yield Event(wall_time=start, summary=_hparams(trial))
    for epoch in trial.epochs:
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in epoch.values.items()]
        yield Event(wall_time=epoch.at.timestamp(), step=epoch.number, summary=Summary(value=scalars))
    if trial.state != UNFINISHED:
        yield Event(wall_time=trial.ended_at.timestamp(), summary=_session_end(trial))


def _hparams(trial: Trial) -> Any:
    info = plugin_data_pb2.SessionStartInfo(group_name=trial.trial_id, start_time_secs=trial.started_at.timestamp())
    for name, value in {**trial.config, **trial.labels, **trial.replicate}.items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, str):
            info.hparams[name].string_value = value
        else:
            info.hparams[name].number_value = value
    return _summary(metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=info))


def _session_end(trial: Trial) -> Any:
    status = api_pb2.STATUS_FAILURE if trial.state in FAILED_STATES else api_pb2.STATUS_SUCCESS
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=trial.ended_at.timestamp())
    return _summary(metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=info))


def _summary(tag: str, content: Any) -> Any:
    """A summary of the plugin; `metadata.create_summary_metadata` orders the hyperparameters at random."""
    data = SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString(deterministic=True)
    )
    value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=data), tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])
