"""The tables have what docs/tables.md promises, in types that any reader understands."""

import pyarrow as pa
import pytest

from layersweep.records.tables import TABLES, TIME_CLASSES, TRIALS, with_config

ATTEMPT = "sweep trial_id attempt"
SECONDS = (
    "seconds_start seconds_import seconds_build seconds_features seconds_train seconds_validate seconds_test "
    "seconds_measure seconds_checkpoint seconds_close"
)
PROMISED = {
    "plan": "sweep run arm question seed fold trial_id epochs candidate config_json",
    "runs": (
        f"sweep run event at outcome command git_commit versions_json hosts_json study_question study_json slots "
        f"seconds_wall {SECONDS} seconds_waiting"
    ),
    "trials": (
        f"{ATTEMPT} continuation run outcome reason warning error_type error_message traceback log epochs "
        "best_val_accuracy best_epoch last_loss last_accuracy last_val_loss last_val_accuracy rung cutoff "
        "majority_share last_val_balanced_accuracy last_val_macro_f1 "
        f"parameters flops size_bytes latency_ms_min latency_ms_median latency_ms_p95 latency_n "
        "latency_ratio latency_ms_reference "
        f"{SECONDS} host device config_json "
        "seed fold data_fingerprint precision"
    ),
    "epochs": (
        f"{ATTEMPT} epoch sequence loss accuracy val_loss val_accuracy val_balanced_accuracy val_macro_f1 "
        "learning_rate seconds_build seconds_train seconds_validate seconds_test seconds_measure decision cutoff"
    ),
    "layers": (
        f"{ATTEMPT} epoch index name kind activation filters kernel stride parameters trainable output_shape "
        "activation_mean activation_deviation dead_share weight_norm gradient_norm"
    ),
    "tests": f"{ATTEMPT} epoch loss accuracy balanced_accuracy macro_f1 at",
    "classes": f"{ATTEMPT} epoch set_name class_index class_name precision recall f1 support predicted",
    "exports": f"{ATTEMPT} epoch form problem size_bytes accuracy images latency_ms_min latency_ms_median "
    "latency_ms_p95 latency_n latency_ratio latency_ms_reference",
}
KEYS = {
    "plan": "sweep run trial_id question",
    "runs": "run event",
    "trials": "trial_id attempt continuation",
    "epochs": "trial_id attempt epoch",
    "layers": "trial_id attempt epoch index",
    "tests": "trial_id attempt epoch",
    "classes": "trial_id attempt epoch set_name class_index",
    "exports": "trial_id attempt epoch form",
}
# Real numbers that have no unit.
PURE = {
    "loss", "accuracy", "val_loss", "val_accuracy", "best_val_accuracy", "last_loss", "last_accuracy", "last_val_loss",
    "last_val_accuracy", "cutoff", "learning_rate", "activation_mean", "activation_deviation", "dead_share",
    "weight_norm", "gradient_norm", "precision", "recall", "f1", "latency_ratio", "majority_share",
    "val_balanced_accuracy", "val_macro_f1", "last_val_balanced_accuracy", "last_val_macro_f1", "balanced_accuracy",
    "macro_f1",
}  # fmt: skip
# Texts that hardly ever repeat: a dictionary would only cost.
LONG_TEXTS = {
    "command", "git_commit", "versions_json", "options_json", "study_question", "study_json", "hosts_json", "reason",
    "warning", "error_message", "traceback", "log", "config_json", "problem",
}  # fmt: skip

EACH = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def test_there_are_eight_tables():
    assert set(TABLES) == set(PROMISED)
    assert all(table.name == name for name, table in TABLES.items())


@pytest.mark.parametrize("name", PROMISED)
def test_a_table_has_the_promised_columns_and_key(name):
    assert set(PROMISED[name].split()) <= set(TABLES[name].schema.names)
    assert TABLES[name].key == tuple(KEYS[name].split())


@EACH
def test_every_row_has_its_key_and_may_lack_all_else(table):
    assert [field.name for field in table.schema if not field.nullable] == [
        name for name in table.schema.names if name in table.key
    ]


@EACH
def test_no_name_twice(table):
    assert len(table.schema.names) == len(set(table.schema.names))


@EACH
def test_a_name_says_the_unit(table):
    reals = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    assert [r for r in reals if not r.startswith("seconds_") and "_ms_" not in r and r not in PURE] == []
    sizes = [f for f in table.schema if f.name.startswith(("memory", "size"))]
    assert all(f.name.endswith("_bytes") and f.type == pa.int64() for f in sizes)  # 2 GiB are not enough


@EACH
def test_strings_are_dictionary_encoded_but_for_long_texts(table):
    plain = {f.name for f in table.schema if f.type == pa.string()}
    encoded = {f.name for f in table.schema if f.type == pa.dictionary(pa.int32(), pa.string())}
    assert plain == LONG_TEXTS & set(table.schema.names)
    assert {"sweep"} <= encoded


@EACH
def test_what_hardly_ever_repeats_is_in_no_dictionary(table):
    """Times and counters rise; losses, norms and measured seconds have all their digits."""
    encodings = {"DELTA_BINARY_PACKED": set(), "BYTE_STREAM_SPLIT": set()}
    for name, encoding in table.encodings.items():
        encodings[encoding].add(name)
    rising = {n for n in table.schema.names if n in ("sequence", "at") or n.endswith("_at")}
    assert encodings["DELTA_BINARY_PACKED"] == rising
    assert all(pa.types.is_floating(table.schema.field(name).type) for name in encodings["BYTE_STREAM_SPLIT"])
    varied = {n for n in table.schema.names if n.endswith("loss") or n == "seconds_train"}
    assert varied - ({"loss"} if table.name == "tests" else set()) <= encodings["BYTE_STREAM_SPLIT"]


@EACH
def test_times_are_in_utc(table):
    times = {f.name: f.type for f in table.schema if pa.types.is_temporal(f.type)}
    assert set(times) == {name for name in table.schema.names if name == "at" or name.endswith("_at")}
    assert set(times.values()) <= {pa.timestamp("us", tz="UTC")}


def test_every_class_of_time_is_a_column_and_waiting_is_of_the_run_alone():
    assert SECONDS.split() == [f"seconds_{name}" for name in TIME_CLASSES]
    assert "seconds_waiting" in TABLES["runs"].schema.names
    assert "seconds_waiting" not in TABLES["trials"].schema.names


def test_a_configuration_becomes_typed_columns_after_the_fixed_ones():
    table = with_config(TRIALS, {"learning_rate": float, "filters": int, "pooling": bool, "optimizer": str})
    fixed = len(TRIALS.schema)
    assert table.schema.names[:fixed] == TRIALS.schema.names
    assert [(field.name, str(field.type)) for field in list(table.schema)[fixed:]] == [
        ("learning_rate", "double"),
        ("filters", "int64"),
        ("pooling", "bool"),
        ("optimizer", "dictionary<values=string, indices=int32, ordered=0>"),
    ]
    assert (table.name, table.key) == ("trials", ("trial_id", "attempt", "continuation"))
    assert table.encodings == TRIALS.encodings
    assert "learning_rate" not in TRIALS.schema.names


def test_without_a_configuration_nothing_is_added():
    assert with_config(TRIALS, {}) == TRIALS


def test_a_key_that_is_a_fixed_column_is_refused():
    with pytest.raises(ValueError, match="configuration key 'seed' is a fixed column of table 'trials'"):
        with_config(TRIALS, {"optimizer": str, "seed": int})


@pytest.mark.parametrize("kind", [list, dict, complex, type(None)])
def test_a_type_without_a_column_is_refused_and_the_valid_ones_are_listed(kind):
    with pytest.raises(ValueError, match=rf"'kernels' has type '{kind.__name__}'; valid: bool, int, float, str"):
        with_config(TRIALS, {"kernels": kind})
