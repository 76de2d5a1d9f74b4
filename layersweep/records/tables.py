"""The tables: their columns, with units in the names, and the keys that make a row unique.

Each table lives below the results folder as `<table>/<sweep>/*.parquet`. `trials` holds besides its fixed columns one
typed column for every key of the configurations, which only the sweep knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import pyarrow as pa

SCHEMA_VERSION: Final = 2
"""1: `trials` without `continuation` (read as 0) and `warning`, `plan` without `candidate` and `config_json` (null)."""


class Kind(NamedTuple):
    """What a column holds: its type, and Parquet's encoding of it; without one, a dictionary of its values."""

    type: pa.DataType
    encoding: str | None = None


Column = tuple[str, Kind]

_NAME: Final = Kind(pa.dictionary(pa.int32(), pa.string()))
_TEXT: Final = Kind(pa.string())
_COUNT: Final = Kind(pa.int64())
_RISING: Final = Kind(pa.int64(), "DELTA_BINARY_PACKED")
_SMALL: Final = Kind(pa.int32())
_REAL: Final = Kind(pa.float64())
_VARIED: Final = Kind(pa.float64(), "BYTE_STREAM_SPLIT")
"""A real number that hardly ever repeats: a dictionary of its values would only cost."""
_FLAG: Final = Kind(pa.bool_())
_TIME: Final = Kind(pa.timestamp("us", tz="UTC"), "DELTA_BINARY_PACKED")
_COUNTS: Final = Kind(pa.list_(pa.int32()))

TIME_CLASSES: Final = (
    "start", "import", "build", "features", "train", "validate", "test", "measure", "checkpoint", "close",
)  # fmt: skip
"""Where a slot's seconds go, besides waiting (what no trial accounts for)."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table's name, what a row of it is, its key, its columns and the encodings of those that have one."""

    name: str
    row: str
    key: tuple[str, ...]
    schema: pa.Schema
    encodings: Mapping[str, str] = field(default_factory=dict)


def _table(name: str, row: str, key: tuple[str, ...], *columns: Column) -> Table:
    fields = [pa.field(column, kind.type, nullable=column not in key) for column, kind in columns]
    encodings = {column: kind.encoding for column, kind in columns if kind.encoding is not None}
    return Table(name=name, row=row, key=key, schema=pa.schema(fields), encodings=encodings)


_ATTEMPT: Final[tuple[Column, ...]] = (("sweep", _NAME), ("trial_id", _NAME), ("attempt", _SMALL))
_SECONDS: Final[tuple[Column, ...]] = tuple((f"seconds_{name}", _VARIED) for name in TIME_CLASSES)

PLAN: Final = _table(
    "plan",
    "one trial that a sweep asks for, written before it starts",
    ("sweep", "run", "trial_id", "question"),
    ("sweep", _NAME),
    ("run", _NAME),
    ("trial_id", _NAME),
    ("arm", _NAME),
    ("question", _NAME),
    ("seed", _SMALL),
    ("fold", _SMALL),
    ("epochs", _SMALL),
    ("candidate", _SMALL),
    ("parent", _NAME),
    ("config_json", _TEXT),
)

RUNS: Final = _table(
    "runs",
    "one start or one end of a command (no end: killed)",
    ("run", "event"),
    ("sweep", _NAME),
    ("run", _NAME),
    ("event", _NAME),
    ("at", _TIME),
    ("outcome", _NAME),
    ("command", _TEXT),
    ("git_commit", _TEXT),
    ("versions_json", _TEXT),
    ("options_json", _TEXT),
    ("study_question", _TEXT),
    ("study_json", _TEXT),
    ("hosts_json", _TEXT),
    ("slots", _SMALL),
    ("seconds_wall", _VARIED),
    *_SECONDS,
    ("seconds_waiting", _VARIED),
)

TRIALS: Final = _table(
    "trials",
    "one end of an attempt of a trial; the last row of a trial is what became of it",
    ("trial_id", "attempt", "continuation"),
    *_ATTEMPT,
    ("continuation", _SMALL),
    ("run", _NAME),
    ("arm", _NAME),
    ("question", _NAME),
    ("family", _NAME),
    ("dataset", _NAME),
    ("data_fingerprint", _NAME),
    ("train_images", _COUNT),
    ("validation_images", _COUNT),
    ("test_images", _COUNT),
    ("seed", _SMALL),
    ("fold", _SMALL),
    ("parent", _NAME),
    ("precision", _NAME),
    ("outcome", _NAME),
    ("reason", _TEXT),
    ("warning", _TEXT),
    ("error_type", _NAME),
    ("error_message", _TEXT),
    ("traceback", _TEXT),
    ("log", _TEXT),
    ("epochs", _SMALL),
    ("epochs_asked", _SMALL),
    ("best_val_accuracy", _REAL),
    ("best_epoch", _SMALL),
    ("last_loss", _VARIED),
    ("last_accuracy", _REAL),
    ("last_val_loss", _VARIED),
    ("last_val_accuracy", _REAL),
    ("rung", _SMALL),
    ("cutoff", _REAL),
    ("parameters", _COUNT),
    ("trainable_parameters", _COUNT),
    ("flops", _COUNT),
    ("size_bytes", _COUNT),
    ("latency_ms_min", _VARIED),
    ("latency_ms_median", _VARIED),
    ("latency_ms_p95", _VARIED),
    ("latency_n", _SMALL),
    ("latency_ratio", _VARIED),
    ("latency_ms_reference", _VARIED),
    ("latency_busy_slots", _SMALL),
    ("memory_peak_bytes", _COUNT),
    *_SECONDS,
    ("started_at", _TIME),
    ("ended_at", _TIME),
    ("host", _NAME),
    ("device", _NAME),
    ("config_json", _TEXT),
)

EPOCHS: Final = _table(
    "epochs",
    "one epoch of one attempt",
    ("trial_id", "attempt", "epoch"),
    *_ATTEMPT,
    ("epoch", _SMALL),
    ("sequence", _RISING),
    ("loss", _VARIED),
    ("accuracy", _REAL),
    ("val_loss", _VARIED),
    ("val_accuracy", _REAL),
    ("learning_rate", _REAL),
    ("seconds_build", _VARIED),
    ("seconds_features", _REAL),
    ("seconds_train", _VARIED),
    ("seconds_validate", _VARIED),
    ("seconds_test", _REAL),
    ("seconds_measure", _REAL),
    ("decision", _NAME),
    ("rung", _SMALL),
    ("cutoff", _REAL),
    ("at", _TIME),
)

LAYERS: Final = _table(
    "layers",
    "one layer of one trial at one measured epoch",
    ("trial_id", "attempt", "epoch", "index"),
    *_ATTEMPT,
    ("epoch", _SMALL),
    ("index", _SMALL),
    ("name", _NAME),
    ("kind", _NAME),
    ("activation", _NAME),
    ("filters", _SMALL),
    ("kernel", _NAME),
    ("stride", _NAME),
    ("parameters", _COUNT),
    ("trainable", _FLAG),
    ("output_shape", _NAME),
    ("activation_mean", _VARIED),
    ("activation_deviation", _VARIED),
    ("dead_share", _REAL),
    ("weight_norm", _VARIED),
    ("gradient_norm", _VARIED),
)

TESTS: Final = _table(
    "tests",
    "one completed trial's reading of the test set at an epoch",
    ("trial_id", "attempt", "epoch"),
    *_ATTEMPT,
    ("epoch", _SMALL),
    ("loss", _VARIED),
    ("accuracy", _REAL),
    ("images", _COUNT),
    ("at", _TIME),
)

CLASSES: Final = _table(
    "classes",
    "one class of one measured trial, validation or test",
    ("trial_id", "attempt", "epoch", "set_name", "class_index"),
    *_ATTEMPT,
    ("epoch", _SMALL),
    ("set_name", _NAME),
    ("class_index", _SMALL),
    ("class_name", _NAME),
    ("precision", _REAL),
    ("recall", _REAL),
    ("f1", _REAL),
    ("support", _COUNT),
    ("predicted", _COUNTS),
)

EXPORTS: Final = _table(
    "exports",
    "one form that one completed trial's network was converted to, on the validation set",
    ("trial_id", "attempt", "epoch", "form"),
    *_ATTEMPT,
    ("epoch", _SMALL),
    ("form", _NAME),
    ("problem", _TEXT),
    ("size_bytes", _COUNT),
    ("accuracy", _REAL),
    ("images", _COUNT),
    ("latency_ms_min", _VARIED),
    ("latency_ms_median", _VARIED),
    ("latency_ms_p95", _VARIED),
    ("latency_n", _SMALL),
    ("latency_ratio", _VARIED),
    ("latency_ms_reference", _VARIED),
)

TABLES: Final[Mapping[str, Table]] = {t.name: t for t in (PLAN, RUNS, LAYERS, TESTS, CLASSES, EXPORTS, EPOCHS, TRIALS)}
"""By name, in the order in which they are written, so that a kill in between leaves nothing out: an epoch comes after
its layers, tests, classes and exports, since a trial may go on behind it; a trial's end comes last."""

OUTCOMES: Final = ("completed", "stopped", "diverged", "hopeless", "failed")
"""completed: all epochs asked for; stopped: by the scheduler at `rung`, or without one when a search's time was spent;
diverged: NaN or infinite; hopeless: at chance and not learning; failed: an error, or refused by an estimate. An attempt
that failed, was reopened or was given more epochs goes on: `continuation` counts its ends, from 0, and the seconds of a
row are those since the end before."""

TOO_LARGE: Final = "TooLarge"
TOO_SLOW: Final = "TooSlow"
REFUSED: Final = (TOO_LARGE, TOO_SLOW)
"""Error types of trainings that an estimate refused, so that they were never begun: no fault of theirs, and no reason
to end a sweep."""

DECISIONS: Final = ("continue", "stop", "last", "diverged", "hopeless")
"""What became of a trial after an epoch: it goes on, the scheduler stopped it, it was the last asked for, it met a NaN,
or it was at chance."""

_CONFIG_KINDS: Final[Mapping[type, Kind]] = {bool: _FLAG, int: _COUNT, float: _REAL, str: _NAME}


def with_config(table: Table, config_types: Mapping[str, type]) -> Table:
    """The table with one typed column for each configuration key, in the keys' order.

    Raises:
        ValueError: if a key has the name of a fixed column, or a type that has no column (bool, int, float, str have).
    """
    fixed = set(table.schema.names)
    for key, kind in config_types.items():
        if key in fixed:
            raise ValueError(
                f"configuration key {key!r} is a fixed column of table {table.name!r}: choose another name"
            )
        if kind not in _CONFIG_KINDS:
            valid = ", ".join(t.__name__ for t in _CONFIG_KINDS)
            raise ValueError(f"configuration key {key!r} has type {kind.__name__!r}; valid: {valid}")
    fields = [pa.field(key, _CONFIG_KINDS[kind].type) for key, kind in config_types.items()]
    return replace(table, schema=pa.schema([*table.schema, *fields]))
