"""The readers of tables of pictures, as functions of bytes."""

from tests.fuzz.data_files import folder, quiet
from trainables.data.datasets import npz
from trainables.data.layouts.layouts import pictures_of
from trainables.data.pictures.columnar_files import row_bytes


def label_table(content: bytes) -> None:
    """Reads a table of labels beside two pictures; one that begins as an object does has lines of JSON."""
    with folder() as place:
        name = "labels.jsonl" if content[:1] == b"{" else "labels.csv"
        (place / name).write_bytes(content)
        for picture in ("a.png", "b.png"):
            (place / picture).write_bytes(b"")
        paths = [one.path for one in pictures_of(place / name).pictures]
        assert {path.parent for path in paths} == {place}, "it names files elsewhere"


def columnar(content: bytes) -> None:
    """Reads the labels and pictures of a Parquet or Arrow file."""
    with folder() as place:
        (place / "x.parquet").write_bytes(content)
        pictures = pictures_of(place / "x.parquet").pictures
        rows = [one.row for one in pictures if one.row is not None]
        assert [row for row, _ in row_bytes(place / "x.parquet", rows, str(pictures[0].column))] == sorted(rows)


def npz_file(content: bytes) -> None:
    """Reads a data set of Keras' names."""
    with folder() as place:
        (place / "x.npz").write_bytes(content)
        npz.load(place / "x.npz", say=quiet)
