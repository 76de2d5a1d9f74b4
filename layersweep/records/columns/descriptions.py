"""The meaning and the unit of every column of every table: in the Parquet files, and in docs/tables.md.

In a file they are metadata of the fields, `description` and `unit`. A new column of a table needs a line here.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import pyarrow as pa


class Description(NamedTuple):
    """What a column says, and the unit of its numbers; "" for texts, identifiers and numbers without a unit."""

    text: str
    unit: str = ""


_SHARE: Final = "share, 0 to 1"
_LOSS: Final = "nats"
_SECONDS: Final = "s"

_EVERYWHERE: Final[Mapping[str, Description]] = {
    "sweep": Description("the sweep whose command wrote the row"),
    "run": Description("the command, see `runs`"),
    "trial_id": Description("the trial: a hash of configuration, seed and data"),
    "attempt": Description("which run of the trial from epoch 1 on, from 0; the largest one counts"),
    "continuation": Description("which end of this attempt, from 0; the largest one counts"),
    "arm": Description("what is compared: a configuration, or a search for one"),
    "question": Description("what the trial is for: comparison, screening, tuning or first phase"),
    "seed": Description("the seed of weights, order of images, dropout and augmentation"),
    "fold": Description("the part of the images that validates; null without cross-validation"),
    "parent": Description("the trial from whose weights this one begins; null without one"),
    "candidate": Description("the number of the trial in its search, from 0; null outside a search"),
    "epoch": Description("the epoch, from 1", "epochs"),
    "config_json": Description("the configuration as JSON"),
    "loss": Description("mean loss over the training images of this epoch, each measured before its step", _LOSS),
    "accuracy": Description("mean accuracy over the training images of this epoch", _SHARE),
    "val_loss": Description("loss on the validation set after the epoch", _LOSS),
    "val_accuracy": Description("accuracy on the validation set after the epoch", _SHARE),
    "val_balanced_accuracy": Description("mean recall of the classes that occur in the validation set", _SHARE),
    "val_macro_f1": Description("mean F1 of the classes that occur in the validation set", _SHARE),
    "rung": Description("the epoch at which early stopping compared the trial; null if it did not", "epochs"),
    "cutoff": Description("what the trial had to reach at the rung, in the metric of the sweep"),
    "parameters": Description("weights of the network, or of the layer", "numbers"),
    "flops": Description("floating-point operations for one image, forward", "operations"),
    "size_bytes": Description("size of all weights, without the optimizer", "bytes"),
    "family": Description("the model family"),
    "dataset": Description("the data set"),
    "precision": Description("the precision of the training, such as float32 or mixed_bfloat16"),
    "train_images": Description("images that the trial trained on", "images"),
    "at": Description("when the row was made", "UTC"),
    "images": Description("images of the set", "images"),
    "latency_ms_min": Description("shortest time for one image, on one thread", "ms"),
    "latency_ms_median": Description("median time for one image, on one thread", "ms"),
    "latency_ms_p95": Description("95th percentile of the times for one image, on one thread", "ms"),
    "latency_n": Description("timed calls", "calls"),
    "latency_ratio": Description(
        "median of time for one image / time of a fixed computation; comparable between machines", "ratio"
    ),
    "latency_ms_reference": Description("shortest time of that fixed computation", "ms"),
    "seconds_start": Description("starting the training process", _SECONDS),
    "seconds_import": Description("importing Keras and TensorFlow", _SECONDS),
    "seconds_build": Description("building, tracing and compiling the network", _SECONDS),
    "seconds_features": Description("computing the features of the frozen part of the network", _SECONDS),
    "seconds_train": Description("training", _SECONDS),
    "seconds_validate": Description("evaluating on the validation set", _SECONDS),
    "seconds_test": Description("evaluating on the test set", _SECONDS),
    "seconds_measure": Description("measuring layers, classes, latency and exports", _SECONDS),
    "seconds_checkpoint": Description("saving checkpoints", _SECONDS),
    "seconds_close": Description("ending the training", _SECONDS),
}
"""Of columns that several tables have, with one meaning in all; a table's own line goes first."""

_OWN: Final[Mapping[str, Mapping[str, Description]]] = {
    "plan": {
        "sweep": Description("the sweep that plans the trial; another one may have trained it"),
        "epochs": Description("planned epochs", "epochs"),
    },
    "runs": {
        "run": Description("the id of the command"),
        "event": Description("start, end, or `request ID`: a person's request to the command"),
        "outcome": Description("how the command ended, or what became of the request"),
        "command": Description("the command line"),
        "git_commit": Description("the commit of the code"),
        "versions_json": Description("versions of the packages, as JSON"),
        "options_json": Description("the options of the command, or the request, as JSON"),
        "study_question": Description("the question of the sweep, in words"),
        "study_json": Description("settings of the study, as JSON"),
        "hosts_json": Description("the machines, as JSON"),
        "slots": Description("trials that trained at the same time", "slots"),
        "first_sequence": Description("the `sequence` in `epochs` from which on the epochs are of this command"),
        "seconds_wall": Description("duration of the command", _SECONDS),
        "seconds_waiting": Description("time of the slots that belongs to no trial", _SECONDS),
    },
    "trials": {
        "sweep": Description("the sweep that trained the trial; others may compare it too"),
        "data_fingerprint": Description("a hash of the images, labels and their split"),
        "validation_images": Description("images that validated the trial", "images"),
        "test_images": Description("images of the test set", "images"),
        "majority_share": Description("share of the largest class among the trial's part of the file", _SHARE),
        "outcome": Description("how this end came: completed, stopped, diverged, hopeless or failed"),
        "reason": Description("why, in words"),
        "warning": Description("what a person should know of it"),
        "error_type": Description("the type of the error; null if there was none"),
        "error_message": Description("the message of the error"),
        "traceback": Description("where the error was raised"),
        "log": Description("the file with what the training process printed"),
        "epochs": Description("epochs of this attempt until this end, those before a continuation included", "epochs"),
        "epochs_asked": Description("planned epochs at this end", "epochs"),
        "best_val_accuracy": Description("best validation accuracy until this end: higher than a fair value", _SHARE),
        "best_epoch": Description("the epoch of that", "epochs"),
        "last_loss": Description("`loss` of the last epoch until this end", _LOSS),
        "last_accuracy": Description("`accuracy` of the last epoch until this end", _SHARE),
        "last_val_loss": Description("`val_loss` of the last epoch until this end", _LOSS),
        "last_val_accuracy": Description("`val_accuracy` of the last epoch until this end", _SHARE),
        "last_val_balanced_accuracy": Description("`val_balanced_accuracy` of that epoch", _SHARE),
        "last_val_macro_f1": Description("`val_macro_f1` of that epoch", _SHARE),
        "trainable_parameters": Description("weights that are trained", "numbers"),
        "network_fingerprint": Description("a hash of what the network computes"),
        "network_revision": Description("which network of this configuration, where its code has changed"),
        "source_fingerprint": Description("a hash of the code of the family"),
        "latency_busy_slots": Description("other slots at work on the machine while latency was measured", "slots"),
        "memory_peak_bytes": Description("most memory of the training process", "bytes"),
        "started_at": Description("when the trial was given to its slot", "UTC"),
        "ended_at": Description("when it ended", "UTC"),
        "host": Description("the machine"),
        "device": Description("cpu, or the GPU's name"),
    },
    "epochs": {
        "sequence": Description("the place of the row in the order in which the sweep's epochs ended"),
        "learning_rate": Description("the learning rate of the optimizer after the epoch"),
        "decision": Description("what followed: continue, stop (by the scheduler), last, diverged or hopeless"),
    },
    "layers": {
        "index": Description("the place of the layer in the network, from 0"),
        "name": Description("its name"),
        "kind": Description("its class"),
        "activation": Description("its activation function"),
        "filters": Description("filters of a convolution, units of a dense layer", "numbers"),
        "kernel": Description("size of a convolution's kernel, such as 5x5", "pixels"),
        "stride": Description("its stride, such as 1x1", "pixels"),
        "trainable": Description("whether it is trained"),
        "output_shape": Description("the shape of its output, without the batch"),
        "activation_mean": Description("mean of its outputs on a fixed batch"),
        "activation_deviation": Description("standard deviation of its outputs on a fixed batch"),
        "dead_share": Description("share of its units that give the same output for every image", _SHARE),
        "weight_norm": Description("Euclidean norm of its trained weights"),
        "gradient_norm": Description("Euclidean norm of the loss' gradient with respect to them"),
    },
    "tests": {
        "loss": Description("loss on the test set", _LOSS),
        "accuracy": Description("accuracy on the test set", _SHARE),
        "balanced_accuracy": Description("mean recall of the classes that occur in the test set", _SHARE),
        "macro_f1": Description("mean F1 of the classes that occur in the test set", _SHARE),
    },
    "classes": {
        "set_name": Description("validation or test"),
        "class_index": Description("the class, from 0"),
        "class_name": Description("its name"),
        "precision": Description("share of the class among the images that were classified as it", _SHARE),
        "recall": Description("share of the class' images that were classified as it", _SHARE),
        "f1": Description("harmonic mean of precision and recall", _SHARE),
        "support": Description("images of the class", "images"),
        "predicted": Description("for each class, how many images of this one were classified as it", "images"),
    },
    "exports": {
        "form": Description("the form, such as float32 or int8"),
        "problem": Description("why the conversion failed; null if it did not"),
        "size_bytes": Description("size of the converted file", "bytes"),
        "accuracy": Description("accuracy of the converted network on the validation set", _SHARE),
    },
    "results": {
        "sweep": Description("the sweep whose study compares the training"),
        "arm_group": Description("the arms that it is compared with; null if all arms are compared with each other"),
        "arm": Description("the arm, by the name in its study"),
        "is_last": Description("whether this is the epoch at which the study compares arms"),
        "metric": Description("the column by which the study judges arms"),
        "test_accuracy": Description("accuracy on the test set: of leading arms, at that epoch", _SHARE),
        "test_balanced_accuracy": Description("mean recall on the test set: of leading arms, at that epoch", _SHARE),
        "test_macro_f1": Description("mean F1 on the test set: of leading arms, at that epoch", _SHARE),
        "seconds": Description("slot time of the training's epochs until this one", _SECONDS),
        "learned": Description("trainings of the arm that learned: these are the ones with rows", "trainings"),
        "ended": Description("trainings of the arm that learned, or could have", "trainings"),
        "attempt": Description("the attempt of the trial, as in the other tables"),
    },
}


def description(table: str, column: str) -> Description | None:
    """What a column of a table means; None for a configuration key."""
    return _OWN[table].get(column) or _EVERYWHERE.get(column)


def described(schema: pa.Schema, table: str, keys: Mapping[str, str] | None = None) -> pa.Schema:
    """A schema of a table with the meaning and the unit of each column.

    Args:
        schema: its columns.
        table: the name of the table.
        keys: what configuration keys mean. A key that is not among them keeps what the schema says of it.
    """
    return pa.schema([_described(field, table, keys or {}) for field in schema], schema.metadata)


def _described(field: pa.Field, table: str, keys: Mapping[str, str]) -> pa.Field:
    what = description(table, field.name)
    if what is None and field.name in keys:
        what = Description(f"configuration: {keys[field.name]}")
    if what is None:
        return field
    return field.with_metadata({"description": what.text, **({"unit": what.unit} if what.unit else {})})
