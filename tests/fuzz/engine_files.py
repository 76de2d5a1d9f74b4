"""The readers of the engine as functions of bytes: parts, cluster files, values of `--set`, the address of a head."""

import warnings

from layersweep.records.read import DamagedPartWarning, part_name, read
from layersweep.records.tables import TABLES
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
            read(results, table, set_aside=False)


def cluster_file(content: bytes) -> None:
    """Reads a cluster's file."""
    with folder() as place:
        (place / "cluster.yaml").write_bytes(content)
        ClusterFile.read(place / "cluster.yaml")


def set_flag(content: bytes) -> None:
    """Reads values of `--set`, one a line."""
    key_values(SWEEP, content.decode(errors="surrogateescape").split("\n"))
