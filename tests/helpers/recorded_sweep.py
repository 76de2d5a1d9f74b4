"""Small recorded sweeps, written by the schemas of the records, without Ray or Keras."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from layersweep.records.read import part_name
from layersweep.records.tables import TABLES, TRIALS, with_config

CONFIG_TYPES = {"optimizer": str, "learning_rate": float, "momentum": float, "activation": str}
START = datetime(2026, 11, 3, 9, tzinfo=UTC)


class Sweep:
    """A sweep to be recorded: trials by their validation accuracies, an epoch each of 10 s training, 2 s validating."""

    def __init__(self, results: Path, name: str = "optimizers", epochs: int = 3) -> None:
        self.results, self.name, self.epochs = results, name, epochs
        self.config_types: Mapping[str, type] = CONFIG_TYPES
        self.rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}

    def plan(self, arm: str, seed: int, trial_id: str, *, config: Mapping[str, Any] | None = None, **more: Any) -> None:
        row = {"run": "r1", "trial_id": trial_id, "arm": arm, "question": "comparison", "seed": seed}
        self.add("plan", row | {"epochs": self.epochs, "config_json": json.dumps(config or _config(arm))} | more)

    def trial(
        self,
        arm: str,
        seed: int,
        curve: Sequence[float],
        outcome: str | None = "completed",
        *,
        attempt: int = 0,
        planned: bool = True,
        test: float | None = None,
        after: int = 0,
        config: Mapping[str, Any] | None = None,
        candidate: int | None = None,
        **more: Any,
    ) -> str:
        """Records one end of an attempt, and its epochs from `after` on; `outcome` None leaves it without a row."""
        trial_id: str = more.pop("trial_id", f"{arm}-{seed}")
        question: str = more.pop("question", "comparison")
        if planned:
            where = {"question": question, "run": more.get("run", "r1"), "candidate": candidate}
            self.plan(arm, seed, trial_id, config=config, **where)
        ids: dict[str, Any] = {"trial_id": trial_id, "attempt": attempt}
        for epoch, accuracy in enumerate(curve, after + 1):
            row = {"epoch": epoch, "val_accuracy": accuracy, "seconds_train": 10.0, "seconds_validate": 2.0}
            self.add("epochs", {**ids, **row})
        if test is not None:
            self.add("tests", ids | {"epoch": after + len(curve), "accuracy": test, "images": 10_000})
        if outcome is None:
            return trial_id
        config = config or _config(arm)
        ended = ids | {
            "continuation": 0, "run": "r1", "arm": arm, "question": question, "seed": seed, "outcome": outcome,
            "epochs": after + len(curve), "epochs_asked": self.epochs, "family": "fashion_cnn",
            "dataset": "fashion_mnist", "data_fingerprint": "f0", "precision": "float32",
            "train_images": 54_000, "validation_images": 6_000, "test_images": 10_000,
            "seconds_import": 9.0, "seconds_train": 10.0 * len(curve), "seconds_validate": 2.0 * len(curve),
            "started_at": START, "ended_at": START + timedelta(minutes=5), "host": "alder", "device": "cpu",
            "parameters": 1000, "flops": 2000, "size_bytes": 4_000_000, "config_json": json.dumps(config), **config,
        }  # fmt: skip
        self.add("trials", ended | more)
        return trial_id

    def run(self, run: str = "r1", **more: Any) -> None:
        row = {"run": run, "event": "start", "at": START, "command": "python sweeps/optimizers.py --seeds 3"}
        facts = {"git_commit": "0123abc", "versions_json": '{"keras": "3.15"}', "hosts_json": '["alder"]', "slots": 2}
        self.add("runs", row | facts | more)

    def write(self) -> Path:
        """Writes every table; returns the results folder."""
        config = with_config(TRIALS, self.config_types)
        for table, rows in self.rows.items():
            if rows:
                schema = config.schema if table == "trials" else TABLES[table].schema
                folder = self.results / table / self.name
                folder.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / part_name(0, 0))
        return self.results

    def add(self, table: str, row: dict[str, Any]) -> None:
        self.rows[table].append({"sweep": self.name, **row})


def _config(arm: str) -> dict[str, Any]:
    return {"optimizer": arm, "learning_rate": 0.001}
