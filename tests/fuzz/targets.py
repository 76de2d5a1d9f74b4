"""The readers of bytes that strangers wrote, each with the errors that it may raise: all else is a finding.

To add a reader: a function of bytes in a file of this folder, a line in TARGETS, and a few small files in
corpus/<name>/. A file named sound* must be read; any other may be refused, with an error of the target.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from layersweep.records.errors import ResultsError
from layersweep.tuning.cluster.head_answers import HeadError
from layersweep.tuning.common.errors import UsageError
from tests.fuzz import data_files, engine_files, picture_tables
from trainables.errors import DataError

CORPUS: Final = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Target:
    """A reader, and the errors by which it may refuse what it reads."""

    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]

    def check(self, content: bytes) -> bool:
        """Whether the reader accepts the content; raises what it should not raise."""
        try:
            self.read(content)
        except self.errors:
            return False
        return True


TARGETS: Final[Mapping[str, Target]] = {
    "cached": Target(data_files.cached, ()),
    "cifar": Target(data_files.cifar, (DataError,)),
    "cluster_file": Target(engine_files.cluster_file, (UsageError,)),
    "columnar": Target(picture_tables.columnar, (DataError,)),
    "idx": Target(data_files.idx, (ValueError,)),
    "images": Target(data_files.images, (DataError,)),
    "head_answer": Target(engine_files.head_answer, (HeadError,)),
    "label_table": Target(picture_tables.label_table, (DataError,)),
    "npz": Target(picture_tables.npz_file, (DataError,)),
    "parts": Target(engine_files.parts, (ResultsError,)),
    "set_flag": Target(engine_files.set_flag, (UsageError,)),
    "tar": Target(data_files.tar, (DataError,)),
    "tiny_imagenet": Target(data_files.tiny_imagenet, (DataError,)),
    "zip": Target(data_files.zip_archive, (DataError,)),
}
