"""The tables: their columns, with units in the names, and the keys that make a row unique.

The files of each table are `<table>/<sweep>/*.parquet` in the results folder. Besides its fixed columns, `trials` has
one typed column for every configuration key of the sweep.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa

SCHEMA_VERSION: Final = 2
"""1: `trials` without `continuation` (read as 0) and `warning`, `plan` without `candidate` and `config_json` (null)."""


class Kind(NamedTuple):
    """The type of a column and its encoding in Parquet; the default encoding is a dictionary of its values."""

    type: pa.DataType
    encoding: str | None = None


Columns: TypeAlias = tuple[Kind, *tuple[str, ...]]
"""Columns of the same kind: the kind, then their names."""

_NAME: Final = Kind(pa.dictionary(pa.int32(), pa.string()))
_TEXT: Final = Kind(pa.string())
_COUNT: Final = Kind(pa.int64())
_RISING: Final = Kind(pa.int64(), "DELTA_BINARY_PACKED")
_SMALL: Final = Kind(pa.int32())
_REAL: Final = Kind(pa.float64())
_VARIED: Final = Kind(pa.float64(), "BYTE_STREAM_SPLIT")
"""Real numbers that rarely repeat: a dictionary of their values would need more space."""
_FLAG: Final = Kind(pa.bool_())
_TIME: Final = Kind(pa.timestamp("us", tz="UTC"), "DELTA_BINARY_PACKED")
_COUNTS: Final = Kind(pa.list_(pa.int32()))

TIME_CLASSES: Final = (
    "start", "import", "build", "features", "train", "validate", "test", "measure", "checkpoint", "close",
)  # fmt: skip
"""What the seconds of a slot are spent on, besides waiting (the time that belongs to no trial)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A table's name, its key, its columns and the encodings of those that have one."""

    name: str
    key: tuple[str, ...]
    schema: pa.Schema
    encodings: Mapping[str, str] = field(default_factory=dict)


def _table(name: str, key: tuple[str, ...], *columns: Columns) -> Table:
    kinds = [(column, kind) for kind, *names in columns for column in names]
    fields = [pa.field(column, kind.type, nullable=column not in key) for column, kind in kinds]
    encodings = {column: kind.encoding for column, kind in kinds if kind.encoding is not None}
    return Table(name=name, key=key, schema=pa.schema(fields), encodings=encodings)


_EPOCH: Final[tuple[Columns, ...]] = ((_NAME, "sweep", "trial_id"), (_SMALL, "attempt", "epoch"))
_SECONDS: Final[Columns] = (_VARIED, *(f"seconds_{name}" for name in TIME_CLASSES))
_LATENCY: Final[tuple[Columns, ...]] = (
    (_VARIED, "latency_ms_min", "latency_ms_median", "latency_ms_p95"),
    (_SMALL, "latency_n"),
    (_VARIED, "latency_ratio", "latency_ms_reference"),
)

PLAN: Final = _table(
    "plan",
    ("sweep", "run", "trial_id", "question"),
    (_NAME, "sweep", "run", "trial_id", "arm", "question"),
    (_SMALL, "seed", "fold", "epochs", "candidate"),
    (_NAME, "parent"),
    (_TEXT, "config_json"),
)
"""A row is one planned trial of a sweep, written before the trial starts."""

RUNS: Final = _table(
    "runs",
    ("run", "event"),
    (_NAME, "sweep", "run", "event"),
    (_TIME, "at"),
    (_NAME, "outcome"),
    (_TEXT, "command", "git_commit", "versions_json", "options_json"),
    (_TEXT, "study_question", "study_json", "hosts_json"),
    (_SMALL, "slots"),
    (_COUNT, "first_sequence"),
    (_VARIED, "seconds_wall"),
    _SECONDS,
    (_VARIED, "seconds_waiting"),
)
"""A row is the start or the end of a command; a killed command has no end. The command's epochs are those of the sweep
whose `sequence` is `first_sequence` or more, until the next command's. A row whose `event` is `request ID` is a request
of a person during the command: `options_json` is the request, `outcome` what became of it."""

TRIALS: Final = _table(
    "trials",
    ("trial_id", "attempt", "continuation"),
    (_NAME, "sweep", "trial_id"),
    (_SMALL, "attempt", "continuation"),
    (_NAME, "run", "arm", "question", "family", "dataset", "data_fingerprint"),
    (_COUNT, "train_images", "validation_images", "test_images"),
    (_REAL, "majority_share"),
    (_SMALL, "seed", "fold"),
    (_NAME, "parent", "precision", "outcome"),
    (_TEXT, "reason", "warning"),
    (_NAME, "error_type"),
    (_TEXT, "error_message", "traceback", "log"),
    (_SMALL, "epochs", "epochs_asked"),
    (_REAL, "best_val_accuracy"),
    (_SMALL, "best_epoch"),
    (_VARIED, "last_loss"),
    (_REAL, "last_accuracy"),
    (_VARIED, "last_val_loss"),
    (_REAL, "last_val_accuracy", "last_val_balanced_accuracy", "last_val_macro_f1"),
    (_SMALL, "rung"),
    (_REAL, "cutoff"),
    (_COUNT, "parameters", "trainable_parameters", "flops", "size_bytes"),
    (_NAME, "network_fingerprint", "network_revision", "source_fingerprint"),
    *_LATENCY,
    (_SMALL, "latency_busy_slots"),
    (_COUNT, "memory_peak_bytes"),
    _SECONDS,
    (_TIME, "started_at", "ended_at"),
    (_NAME, "host", "device"),
    (_TEXT, "config_json"),
)
"""A row is one end of an attempt of a trial; the last row of a trial has its current outcome. `majority_share` is the
largest class' share of the trial's part of the training file."""

EPOCHS: Final = _table(
    "epochs",
    ("trial_id", "attempt", "epoch"),
    *_EPOCH,
    (_RISING, "sequence"),
    (_VARIED, "loss"),
    (_REAL, "accuracy"),
    (_VARIED, "val_loss"),
    (_REAL, "val_accuracy", "val_balanced_accuracy", "val_macro_f1", "learning_rate"),
    (_VARIED, "seconds_build"),
    (_REAL, "seconds_features"),
    (_VARIED, "seconds_train", "seconds_validate"),
    (_REAL, "seconds_test", "seconds_measure"),
    (_NAME, "decision"),
    (_SMALL, "rung"),
    (_REAL, "cutoff"),
    (_TIME, "at"),
)
"""A row is one epoch of one attempt. `decision` is what happened to the trial after it: `continue`; `stop` by the
scheduler; `last`, the last planned epoch; `diverged`, NaN or infinite; `hopeless`, accuracy at chance."""

LAYERS: Final = _table(
    "layers",
    ("trial_id", "attempt", "epoch", "index"),
    *_EPOCH,
    (_SMALL, "index"),
    (_NAME, "name", "kind", "activation"),
    (_SMALL, "filters"),
    (_NAME, "kernel", "stride"),
    (_COUNT, "parameters"),
    (_FLAG, "trainable"),
    (_NAME, "output_shape"),
    (_VARIED, "activation_mean", "activation_deviation"),
    (_REAL, "dead_share"),
    (_VARIED, "weight_norm", "gradient_norm"),
)
"""A row is one layer of one trial at one measured epoch."""

TESTS: Final = _table(
    "tests",
    ("trial_id", "attempt", "epoch"),
    *_EPOCH,
    (_VARIED, "loss"),
    (_REAL, "accuracy", "balanced_accuracy", "macro_f1"),
    (_COUNT, "images"),
    (_TIME, "at"),
)
"""A row is the result of a completed trial on the test set at one epoch."""

CLASSES: Final = _table(
    "classes",
    ("trial_id", "attempt", "epoch", "set_name", "class_index"),
    *_EPOCH,
    (_NAME, "set_name"),
    (_SMALL, "class_index"),
    (_NAME, "class_name"),
    (_REAL, "precision", "recall", "f1"),
    (_COUNT, "support"),
    (_COUNTS, "predicted"),
)
"""A row is one class of one trial, on the validation set or the test set."""

EXPORTS: Final = _table(
    "exports",
    ("trial_id", "attempt", "epoch", "form"),
    *_EPOCH,
    (_NAME, "form"),
    (_TEXT, "problem"),
    (_COUNT, "size_bytes"),
    (_REAL, "accuracy"),
    (_COUNT, "images"),
    *_LATENCY,
)
"""A row is one form to which the network of a completed trial was converted, evaluated on the validation set."""

TABLES: Final[Mapping[str, Table]] = {t.name: t for t in (PLAN, RUNS, LAYERS, TESTS, CLASSES, EXPORTS, EPOCHS, TRIALS)}
"""All tables by name, in the order in which they are written. The order matters if a command is killed in between: a
trial continues after its last recorded epoch, so the epoch follows its layers, tests, classes and exports; a trial's
end is last."""

RESULTS: Final = _table(
    "results",
    ("sweep", "arm", "trial_id", "epoch"),
    (_NAME, "sweep", "arm_group", "arm"),
    (_SMALL, "seed", "fold", "epoch"),
    (_FLAG, "is_last"),
    (_NAME, "metric"),
    (_VARIED, "loss"),
    (_REAL, "accuracy"),
    (_VARIED, "val_loss"),
    (_REAL, "val_accuracy", "val_balanced_accuracy", "val_macro_f1"),
    (_REAL, "test_accuracy", "test_balanced_accuracy", "test_macro_f1"),
    (_VARIED, "seconds"),
    (_SMALL, "learned", "ended"),
    (_COUNT, "parameters", "flops", "size_bytes", "train_images"),
    (_NAME, "family", "dataset", "precision", "trial_id"),
    (_SMALL, "attempt"),
    (_TEXT, "config_json"),
)
"""A row is one epoch of one training that the study of a sweep compares. The study writes it (`derived.results_table`);
nothing that runs sweeps reads it."""

DERIVED: Final[Mapping[str, Table]] = {RESULTS.name: RESULTS}
"""Tables that are computed from the others, by name: they can be deleted and made again."""

READABLE: Final[Mapping[str, Table]] = {**TABLES, **DERIVED}
"""All tables by name."""

STOPPED_ON_REQUEST: Final = "stopped on request"
"""The reason of a trial that a person stopped, and the outcome of a command that a person let end after its running
trials (`layersweep.records.requests`)."""

OUTCOMES: Final = ("completed", "stopped", "diverged", "hopeless", "failed")
"""completed: all planned epochs; stopped: by the scheduler at `rung`, or without a rung when the time of a search was
over, or on a person's request: then `reason` is `STOPPED_ON_REQUEST`, and there may be no epoch; diverged: NaN or
infinite; hopeless: accuracy stayed at chance; failed: an error, or refused by an estimate. An attempt can continue
after its end, if it failed, was reopened or got more epochs: `continuation` counts its ends from 0, and the seconds of
a row are those since the previous end."""

TOO_LARGE: Final = "TooLarge"
TOO_SLOW: Final = "TooSlow"
REFUSAL_TYPES: Final = (TOO_LARGE, TOO_SLOW)
"""Error types of trials that were refused by an estimate and never started. They are not faults, so they do not end a
sweep."""

_CONFIG_KINDS: Final[Mapping[type, Kind]] = {bool: _FLAG, int: _COUNT, float: _REAL, str: _NAME}


def with_config(table: Table, config_types: Mapping[str, type]) -> Table:
    """The table with one typed column for each configuration key, in the keys' order.

    Raises:
        ValueError: if a key has the name of a fixed column, or a type that has no column (bool, int, float, str have).
    """
    if not config_types:
        return table
    fixed_columns = set(table.schema.names)
    for key, kind in config_types.items():
        if key in fixed_columns:
            raise ValueError(
                f"configuration key {key!r} is a fixed column of table {table.name!r}: choose another name"
            )
        if kind not in _CONFIG_KINDS:
            valid = ", ".join(t.__name__ for t in _CONFIG_KINDS)
            raise ValueError(f"configuration key {key!r} has type {kind.__name__!r}; valid: {valid}")
    fields = [pa.field(key, _CONFIG_KINDS[kind].type) for key, kind in config_types.items()]
    return replace(table, schema=pa.schema([*table.schema, *fields]))
