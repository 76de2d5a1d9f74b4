"""Parquet and Arrow files of pictures, as Hugging Face's libraries write them."""

import io
import json
from pathlib import Path

import pyarrow as pa
from picture_folders import HUES, picture
from pyarrow import parquet

__all__ = ["HUES", "IMAGE", "png", "table", "write"]

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(hue: int, seed: int = 0) -> bytes:
    """A small picture."""
    file = io.BytesIO()
    picture(hue, seed, (8, 6)).save(file, "PNG")
    return file.getvalue()


def table(labels, names=None, *, image="image", label="label", more=None) -> pa.Table:
    """A row for each label; with names, the labels are numbers of a ClassLabel."""
    values = [{"bytes": png(sum(str(one).encode()) % 6, row), "path": f"{row}.png"} for row, one in enumerate(labels)]
    columns = {image: pa.array(values, IMAGE), label: pa.array(labels, pa.int64() if names else None), **(more or {})}
    info = {image: {"_type": "Image"}, label: {"_type": "ClassLabel", "names": names} if names else {"_type": "Value"}}
    metadata = {"huggingface": json.dumps({"info": {"features": info}})}
    return pa.table(columns).replace_schema_metadata(metadata)


def write(path: Path, rows: pa.Table, *, batch: int = 4) -> Path:
    """A file of the kind that its suffix says, and `.arrow` as a stream, with this many rows in each group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(rows, path, row_group_size=batch)
        return path
    new = pa.ipc.new_stream if path.suffix == ".arrow" else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=batch)
    return path
