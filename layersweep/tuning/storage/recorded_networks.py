"""What is recorded of the networks of trials: their fingerprints, sizes and layers."""

import importlib.metadata
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from layersweep.records.read import read
from layersweep.records.values import structure_fingerprint
from layersweep.tuning.experiment.trials import network_key

_TRIAL_COLUMNS = (
    "trial_id", "run", "family", "dataset", "data_fingerprint", "config_json", "parameters", "network_fingerprint",
    "network_revision", "source_fingerprint", "attempt", "continuation",
)  # fmt: skip


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
        revision: what the ids of its trials contain; None for the network that was recorded first.
    """

    parameters: int | None
    layers: int | None = None
    structure: str | None = None
    fingerprint: str | None = None
    source: str | None = None
    keras_version: str | None = None
    revision: str | None = None


class RecordedNetworks:
    """The networks of the recorded trials of a results folder.

    Raises:
        ResultsError: if the results cannot be read.
    """

    def __init__(self, results: Path) -> None:
        self._results = results

    def of_key(self, key: str, data_fingerprint: str) -> list[RecordedNetwork]:
        """The networks that were recorded for a family and configuration (`network_key`) on these data, latest last."""
        networks: dict[str | None, RecordedNetwork] = {}
        for row in self._rows.get((key, data_fingerprint), ()):
            networks.pop(row["network_revision"], None)
            networks[row["network_revision"]] = self._network(row)
        return list(networks.values())

    def revisions_built_by(self, source: str, key: str, data_fingerprint: str) -> list[str | None]:
        """The revisions of a family and configuration that this source code built, latest last; reads no layers."""
        rows = self._rows.get((key, data_fingerprint), ())
        return [row["network_revision"] for row in rows if row["source_fingerprint"] == source]

    def interrupted(self, trial_id: str) -> RecordedNetwork | None:
        """The network of a trial without an end, of which layers are recorded; None otherwise."""
        if trial_id in self._ended or trial_id not in self._trials_with_epochs or trial_id not in self._structures:
            return None
        layers, structure = self._structures[trial_id]
        return RecordedNetwork(parameters=None, layers=layers, structure=structure)

    def trials_on_other_data(self, dataset: str, data_fingerprint: str) -> int:
        """How many trials are recorded on data of this name with another content, if none is on the present content."""
        fingerprints = self._trials.filter(pl.col("dataset") == dataset)["data_fingerprint"].drop_nulls().to_list()
        return 0 if data_fingerprint in fingerprints else len(fingerprints)

    def _network(self, row: dict[str, Any]) -> RecordedNetwork:
        layers, structure = self._structures.get(row["trial_id"], (None, None))
        fingerprint = row["network_fingerprint"]
        return RecordedNetwork(
            parameters=row["parameters"],
            layers=layers,
            structure=fingerprint[:16] if fingerprint else structure,
            fingerprint=fingerprint,
            source=row["source_fingerprint"],
            keras_version=self._versions.get(row["run"]),
            revision=row["network_revision"],
        )

    @staticmethod
    def keras_version() -> str:
        """The version of Keras that is installed."""
        return importlib.metadata.version("keras")

    @cached_property
    def _trials(self) -> pl.DataFrame:
        trials = read(self._results, "trials", columns=_TRIAL_COLUMNS)
        return trials.sort("attempt", "continuation", maintain_order=True).unique(
            "trial_id", keep="last", maintain_order=True
        )

    @cached_property
    def _ended(self) -> set[str]:
        return set(self._trials["trial_id"])

    @cached_property
    def _trials_with_epochs(self) -> set[str]:
        """The trials with an epoch: only for these, the large table `layers` is worth reading."""
        return set(read(self._results, "epochs", columns=("trial_id",))["trial_id"].unique())

    @cached_property
    def _rows(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """The trials whose network is recorded, by their family with configuration, and their data."""
        rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in self._trials.filter(pl.col("parameters").is_not_null()).to_dicts():
            key = network_key(row["family"], json.loads(row["config_json"] or "{}"))
            rows.setdefault((key, row["data_fingerprint"]), []).append(row)
        return rows

    @cached_property
    def _structures(self) -> dict[str, tuple[int, str]]:
        """The number of layers of each trial, and what stands for their kinds, shapes and parameters."""
        layers = read(self._results, "layers", columns=("trial_id", "index", "kind", "output_shape", "parameters"))
        layers = layers.unique(["trial_id", "index"], keep="last").sort("trial_id", "index")
        facts = layers.select("trial_id", pl.struct("kind", "output_shape", "parameters").alias("facts"))
        lists = facts.group_by("trial_id").agg("facts").rows()
        return {
            trial_id: (len(rows), structure_fingerprint(tuple(row.values()) for row in rows))
            for trial_id, rows in lists
        }

    @cached_property
    def _versions(self) -> dict[str, str | None]:
        runs = read(self._results, "runs", columns=("run", "versions_json")).drop_nulls()
        return {run: json.loads(text).get("keras") for run, text in runs.rows()}
