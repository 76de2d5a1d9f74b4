"""Whatever a row holds, it can be stored, and the rows beside it are."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layersweep.records.read import read
from layersweep.records.storable import UnstorableWarning, storable
from layersweep.records.tables import CLASSES, TABLES, TRIALS, Table, with_config
from layersweep.records.write import Writer

ROW = {"trial_id": "t", "attempt": 0, "epoch": 1, "set_name": "test", "class_index": 0}
ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.text(st.characters(codec=None, exclude_categories=())),
    st.binary(),
    st.integers(),
    st.floats(),
    st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=-14))])),
    st.lists(st.integers() | st.none() | st.text()),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.floats().map(np.float64),
    st.booleans().map(np.bool_),
    st.complex_numbers(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(Path),
)


def stored(table: Table, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return pa.Table.from_pylist(storable(table, rows), schema=table.schema).to_pylist()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.filterwarnings("ignore::layersweep.records.storable.UnstorableWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_row_of_anything_is_stored_or_left_out_alone(name, data):
    table = with_config(TRIALS, {"a": bool, "b": int, "c": float, "d": str}) if name == "trials" else TABLES[name]
    row = data.draw(st.fixed_dictionaries(dict.fromkeys(table.schema.names, ANY_VALUE)))
    key = {column: row[column] if row[column] is not None else 1 for column in table.key}
    rest = {column: None for column in table.schema.names if column not in table.key}
    assert len(stored(table, [{**row, **key}, {**rest, **dict.fromkeys(table.key, 1)}])) in (1, 2)


@settings(max_examples=300, deadline=None)
@given(text=st.text(), real=st.floats(), count=st.integers(-(2**63), 2**63 - 1), small=st.integers(-(2**31), 2**31 - 1))
def test_what_parquet_can_store_is_not_changed(text, real, count, small):
    row = {"class_name": text, "precision": real, "support": count, "class_index": small, "predicted": (small, 0)}
    ((result),) = stored(CLASSES, [{"sweep": "s", **ROW, **row}])
    assert {**result, "precision": repr(result["precision"]), "predicted": tuple(result["predicted"])} == {
        "sweep": "s", "recall": None, "f1": None, **ROW, **row, "precision": repr(real),
    }  # fmt: skip


def test_text_that_is_no_utf8_is_escaped():
    names = ["caf\udce9", "\ud83d", b"caf\xe9", b"cat", np.str_("dog"), 3, Path("a/b"), "café", "a\0b"]
    rows = stored(CLASSES, [{"sweep": "s", **ROW, "class_name": name} for name in names])
    assert [row["class_name"] for row in rows] == [
        "caf\\udce9", "\\ud83d", "caf\\xe9", "cat", "dog", "3", "a/b", "café", "a\0b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("support", 2**63, "beyond 64 bits"),
        ("support", 1.5, "no integer"),
        ("support", "7", "no integer"),
        ("support", math.nan, "NaN"),
        ("predicted", (0, 2**31), "."),
        ("predicted", "12", "."),
        ("precision", "nan", "no number"),
        pytest.param("precision", 10**400, "too large", id="large"),
        ("class_name", object(), "no text"),
        pytest.param("class_name", 10**5000, "limit", id="digits"),
    ],
)
def test_a_value_that_cannot_be_stored_becomes_null_with_a_warning(column, value, reason):
    with pytest.warns(UnstorableWarning, match=f"table 'classes': column '{column}' cannot store .*{reason}"):
        (row,) = stored(CLASSES, [{"sweep": "s", **ROW, "f1": 0.5, column: value}])
    assert (row[column], row["f1"], row["trial_id"]) == (None, 0.5, "t")


@pytest.mark.parametrize(
    ("column", "value", "result"),
    [
        ("support", 3.0, 3),
        ("support", np.int64(3), 3),
        ("precision", 2**53 + 1, 2.0**53),
        ("precision", np.float32(0.5), 0.5),
        ("precision", -math.inf, -math.inf),
        ("predicted", [1, True], [1, 1]),
    ],
)
def test_a_value_of_a_like_type_is_stored(column, value, result):
    (row,) = stored(CLASSES, [{"sweep": "s", **ROW, column: value}])
    assert row[column] == result


def test_a_row_without_its_key_is_left_out_alone(results):
    with Writer(results, "s") as writer:
        with pytest.warns(UnstorableWarning) as warnings:
            writer.append("classes", [ROW, {**ROW, "class_index": 2**31}, {**ROW, "class_index": 2}])
        assert writer.pending == 2
    assert "a row is left out, since its key has no class_index" in str(warnings[-1].message)
    assert read(results, "classes")["class_index"].to_list() == [0, 2]


def test_a_class_folder_of_other_bytes_does_not_block_the_records(results):
    names = ["ok", "caf\udce9", "\udcff"]
    with Writer(results, "s", versions={"caf\udce9": "1"}) as writer:
        for index, name in enumerate(names):
            writer.append("classes", [{**ROW, "class_index": index, "class_name": name}])
        writer.append("trials", [{"trial_id": "t", "attempt": 0, "continuation": 0, "error_message": "in \udce9.png"}])
        writer.flush()
        assert writer.pending == 0
    assert read(results, "classes")["class_name"].to_list() == ["ok", "caf\\udce9", "\\udcff"]
    assert read(results, "trials")["error_message"].to_list() == ["in \\udce9.png"]


def test_nothing_is_lost_of_a_row_whose_config_holds_half_a_character(results):
    config = {"note": "caf\udce9"}
    with Writer(results, "s") as writer:
        key = {"run": "r", "trial_id": "t", "question": "comparison"}
        writer.append("plan", [{**key, "config_json": json.dumps(config)}])
    assert json.loads(read(results, "plan")["config_json"][0]) == config


def test_a_time_in_another_zone_is_stored():
    at = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    (row,) = stored(TABLES["epochs"], [{"sweep": "s", "trial_id": "t", "attempt": 0, "epoch": 1, "at": at}])
    assert row["at"] == at
