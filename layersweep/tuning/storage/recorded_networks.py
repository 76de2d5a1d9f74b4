"""What is recorded of the networks of trials: their fingerprints, sizes and layers."""

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from layersweep.records.read import read

_TRIAL_COLUMNS = ("trial_id", "run", "parameters", "network_fingerprint", "source_fingerprint")


@dataclass(frozen=True, kw_only=True)
class RecordedNetwork:
    """A network.

    Attributes:
        parameters: the number of its weights.
        layers: the number of its layers; None if they are not recorded.
        structure: stands for the kinds, shapes and parameters of its layers; None if they are not recorded.
        fingerprint: that of `trainables.measures.network_fingerprint`; None in older records.
        source: the fingerprint of the source code; None in older records.
        keras_version: the version that built it; None if it is not recorded.
    """

    parameters: int | None
    layers: int | None = None
    structure: str | None = None
    fingerprint: str | None = None
    source: str | None = None
    keras_version: str | None = None


class RecordedNetworks:
    """The networks of the recorded trials of a results folder.

    Raises:
        ResultsError: if the results cannot be read.
    """

    def __init__(self, results: Path) -> None:
        self._results = results

    def of_trial(self, trial_id: str) -> RecordedNetwork | None:
        """The network of a trial, as its last row has it; None if none is recorded."""
        row = self._rows.get(trial_id)
        layers, structure = self._structures.get(trial_id, (None, None))
        if row is None:  # interrupted: it may have layers, but no end
            return None if structure is None else RecordedNetwork(parameters=None, layers=layers, structure=structure)
        fingerprint = row["network_fingerprint"]
        return RecordedNetwork(
            parameters=row["parameters"],
            layers=layers,
            structure=fingerprint[:16] if fingerprint else structure,
            fingerprint=fingerprint,
            source=row["source_fingerprint"],
            keras_version=self._versions.get(row["run"]),
        )

    @staticmethod
    def keras_version() -> str:
        """The version of Keras that is installed."""
        return importlib.metadata.version("keras")

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        trials = read(self._results, "trials", columns=(*_TRIAL_COLUMNS, "attempt", "continuation"))
        known = trials.filter(pl.col("parameters").is_not_null()).sort("attempt", "continuation", maintain_order=True)
        return {row["trial_id"]: row for row in known.unique("trial_id", keep="last").to_dicts()}

    @cached_property
    def _structures(self) -> dict[str, tuple[int, str]]:
        """The number of layers of each trial, and what stands for their kinds, shapes and parameters."""
        layers = read(self._results, "layers", columns=("trial_id", "index", "kind", "output_shape", "parameters"))
        layers = layers.unique(["trial_id", "index"], keep="last").sort("trial_id", "index")
        facts = layers.select("trial_id", pl.struct("kind", "output_shape", "parameters").alias("facts"))
        lists = facts.group_by("trial_id").agg("facts").rows()
        return {trial_id: (len(rows), _digest([[*row.values()] for row in rows])) for trial_id, rows in lists}

    @cached_property
    def _versions(self) -> dict[str, str | None]:
        runs = read(self._results, "runs", columns=("run", "versions_json")).drop_nulls()
        return {run: json.loads(text).get("keras") for run, text in runs.rows()}


def _digest(facts: list[list[Any]]) -> str:
    """As `structure_fingerprint`."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
