"""Every column says in its Parquet file, and in docs/tables.md, what it means and in which unit."""

import columns_page
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recorded_rows import curve, plan, trial

from layersweep.records.columns import descriptions
from layersweep.records.columns.descriptions import described
from layersweep.records.read import parts, read
from layersweep.records.tables import READABLE
from layersweep.records.write import FAN_IN, Writer


@pytest.mark.parametrize("table", READABLE.values(), ids=READABLE)
def test_every_column_is_described_and_nothing_else(table):
    schema = described(table.schema, table.name)
    assert [f.name for f in schema if not (f.metadata or {}).get(b"description")] == []
    assert set(descriptions._OWN[table.name]) <= set(table.schema.names)
    assert schema.equals(table.schema)  # the same columns, besides what is said of them


@pytest.mark.parametrize("table", READABLE.values(), ids=READABLE)
def test_measured_times_sizes_and_shares_have_a_unit(table):
    units = {f.name: f.metadata.get(b"unit", b"").decode() for f in described(table.schema, table.name)}
    for name, unit in units.items():
        if name.startswith("seconds"):
            assert unit == "s"
        if name.endswith("_bytes"):
            assert unit == "bytes"
        if "_ms_" in name:
            assert unit == "ms"
        if "accuracy" in name or "macro_f1" in name:
            assert unit == "share, 0 to 1"
        if pa.types.is_timestamp(table.schema.field(name).type):
            assert unit == "UTC"


def field(path, name):
    metadata = pq.read_schema(path).field(name).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items() if not key.startswith(b"PARQUET")}


def test_the_files_say_it_after_merges_and_in_parts_that_an_earlier_version_wrote(tmp_path, monkeypatch):
    texts = {"filters": "filters of the convolution"}
    with monkeypatch.context() as earlier:
        earlier.setattr("layersweep.records.write.described", lambda schema, *_: schema)
        with Writer(tmp_path, "s", config_types={"filters": int}) as writer:
            writer.append("trials", [trial("aa11", filters=8)])
    assert field(parts(tmp_path / "trials" / "s")[0], "last_val_loss") == {}
    with Writer(tmp_path, "s", config_types={"filters": int}, key_texts=texts) as writer:
        for number in range(FAN_IN - 1):
            writer.append("trials", [trial(f"bb{number}", filters=8)])
            writer.append("epochs", curve(f"bb{number}", 0.5))
            writer.append("plan", [plan(f"bb{number}")])
            writer.flush()
    (merged,) = parts(tmp_path / "trials" / "s")
    assert field(merged, "filters") == {"description": "configuration: filters of the convolution"}
    assert field(merged, "last_val_loss") == {
        "description": "`val_loss` of the last epoch until this end",
        "unit": "nats",
    }
    assert field(parts(tmp_path / "epochs" / "s")[0], "seconds_train") == {"description": "training", "unit": "s"}
    assert read(tmp_path, "trials")["filters"].to_list() == [8] * FAN_IN


def test_a_key_that_the_sweep_no_longer_has_keeps_its_text(tmp_path):
    with Writer(tmp_path, "s", config_types={"filters": int}, key_texts={"filters": "filters of it"}) as writer:
        writer.append("trials", [trial("aa11", filters=8)])
    with Writer(tmp_path, "s", config_types={"units": int}, key_texts={"units": "units of it"}) as writer:
        writer.append("trials", [trial("bb22", units=16)])
    for part in parts(tmp_path / "trials" / "s"):
        assert field(part, "units") == {"description": "configuration: units of it"}
        assert field(part, "filters") == {"description": "configuration: filters of it"}


def test_the_page_shows_them():
    text = columns_page.PAGE.read_text()
    assert columns_page.page(text) == text, "run `uv run python tests/helpers/columns_page.py`"
    assert "| `seconds_train` | double | s | training |" in text
