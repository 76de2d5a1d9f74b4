"""The readers of the engine as functions of bytes: parts, cluster files, values of `--set`, answers of a head."""

import warnings

from layersweep.records.read import DamagedPartWarning, part_name, read
from layersweep.records.tables import TABLES
from layersweep.tuning.cluster import head_answers
from layersweep.tuning.common.cluster_file import ClusterFile
from layersweep.tuning.experiment.key_values import key_values
from sweeps.optimizers import SWEEP
from tests.fuzz.data_files import folder


def parts(content: bytes) -> None:
    """Reads bytes as a part of each table."""
    with folder() as results, warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedPartWarning)
        for table in TABLES:
            place = results / table / "sweep"
            place.mkdir(parents=True)
            (place / part_name(0, 0)).write_bytes(content)
            read(results, table)


def cluster_file(content: bytes) -> None:
    """Reads a cluster's file."""
    with folder() as place:
        (place / "cluster.yaml").write_bytes(content)
        ClusterFile.read(place / "cluster.yaml")


def set_flag(content: bytes) -> None:
    """Reads values of `--set`, one a line."""
    key_values(SWEEP, content.decode(errors="surrogateescape").split("\n"))


def head_answer(content: bytes) -> None:
    """Reads a line of a head as the answer to each question: the first byte says to which."""
    readers = (
        head_answers.records,
        head_answers.look,
        head_answers.others,
        lambda answer: head_answers.log_lines(answer, 5),
    )
    number = content[0] if content else 0
    readers[number % len(readers)](head_answers.decode(content[1:]))
