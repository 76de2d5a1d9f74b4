"""Parts as Layersweep wrote them before schema version 2."""

import pyarrow as pa
import pyarrow.parquet as pq

from layersweep.records.read import part_name
from layersweep.records.tables import TABLES

LATER = {
    "trials": {"continuation", "warning", "parent", "latency_ms_min", "latency_ratio", "latency_ms_reference"},
    "plan": {"candidate", "config_json", "parent"},
}


def version_1_trial(trial_id, **columns):
    return {"trial_id": trial_id, "attempt": 0, "outcome": "completed", **columns}


def write_version_1(results, sweep, table, rows, number=0, keys=()):
    """The part of one flush; `keys` are fields of the configuration."""
    fields = [field for field in TABLES[table].schema if field.name not in LATER.get(table, set())]
    content = pa.Table.from_pylist([{"sweep": sweep, **row} for row in rows], schema=pa.schema([*fields, *keys]))
    path = results / table / sweep / part_name(number, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content.replace_schema_metadata({b"schema_version": b"1"}), path, write_page_checksum=True)
    return path
