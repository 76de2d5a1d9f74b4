"""A big recorded sweep, made up: a screening with rungs, then its survivors on fresh seeds.

`python tests/helpers/big_sweep.py FOLDER --trials 1000 --epochs 50` writes it; a test calls `write`.
"""

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from layersweep.records.read import part_name
from layersweep.records.tables import SCHEMA_VERSION, TABLES, TRIALS, with_config

START = datetime(2026, 11, 3, 9, tzinfo=UTC)
CONFIG = {"optimizer": str, "learning_rate": float, "dropout": float, "activation": str, "filters": int}
RUNGS = (3, 9, 27)
SLOTS = 8
PARTS = 12
_CLASSES = ("boot", "coat", "shirt", "bag", "dress")
_EPOCH_SECONDS = 12.0


def write(results, *, trials, epochs, sweep="big", running=0, waiting=0):
    """Writes the sweep; the last trials run (half trained, no end) or wait (planned only)."""
    draws = np.random.default_rng(7)
    ids = _ids(trials, draws)
    arms = _arms(max(4, trials // 25), draws)
    plan = _plan(ids, arms, epochs, draws)
    ends = _ends(plan, epochs, draws)
    started = trials - waiting
    ends = [
        end | {"outcome": None, "last": epochs // 2} if i >= started - running else end for i, end in enumerate(ends)
    ]
    ends = ends[:started]
    frame = _epochs(plan, ends, epochs, draws)
    tables = {
        "plan": [{k: row[k] for k in row if k in TABLES["plan"].schema.names} for row in plan],
        "runs": _runs(sweep, frame["at"].max(), ended=not running and not waiting),
        "trials": _trials(plan, ends, frame, epochs, draws),
        "classes": _classes(plan, ends, epochs, draws),
        "layers": _layers(plan, ends, epochs),
    }
    for name, rows in tables.items():
        schema = with_config(TRIALS, CONFIG).schema if name == "trials" else TABLES[name].schema
        table = pa.Table.from_pylist([{"sweep": sweep, **row} for row in rows], schema=schema)
        _write_parts(results, name, sweep, table)
    frame = frame.with_columns(pl.lit(sweep).alias("sweep"))
    schema = TABLES["epochs"].schema
    columns = [
        frame[f.name].to_arrow().cast(pa.string()).dictionary_encode().cast(f.type)
        if pa.types.is_dictionary(f.type) and f.name in frame.columns
        else frame[f.name].to_arrow().cast(f.type)
        if f.name in frame.columns
        else pa.nulls(frame.height, f.type)
        for f in schema
    ]
    _write_parts(results, "epochs", sweep, pa.Table.from_arrays(columns, schema=schema), PARTS)
    return results


def _ids(trials, draws):
    return [f"{n:016x}" for n in draws.integers(0, 1 << 62, trials)]


def _arms(count, draws):
    arms = []
    for number in range(count):
        config = {
            "optimizer": ("adam", "sgd", "rmsprop", "nadam")[number % 4],
            "learning_rate": round(float(10 ** draws.uniform(-4, -1)), 6),
            "dropout": round(float(draws.uniform(0, 0.6)), 2),
            "activation": ("relu", "elu", "selu")[number % 3],
            "filters": int(2 ** draws.integers(3, 8)),
        }
        quality = (
            0.9 - 0.03 * abs(np.log10(config["learning_rate"]) + 2.5) ** 2 + 0.01 * (config["activation"] == "elu")
        )
        arms.append((f"arm{number:03d} optimizer={config['optimizer']}", config, quality + draws.normal(scale=0.004)))
    return arms


def _plan(ids, arms, epochs, draws):
    """Screening on seed 1, then the better half of the arms on fresh seeds."""
    ranked = sorted(range(len(arms)), key=lambda n: -arms[n][2])
    survivors = ranked[: max(2, len(arms) // 2)]
    rows = []
    for number, trial_id in enumerate(ids):
        is_screening = number < len(arms)
        arm = number if is_screening else survivors[(number - len(arms)) % len(survivors)]
        name, config, quality = arms[arm]
        rows.append({
            "run": "r1", "trial_id": trial_id, "arm": name, "question": "screening" if is_screening else "comparison",
            "seed": 1 if is_screening else 2 + (number - len(arms)) // len(survivors), "epochs": epochs,
            "config_json": json.dumps(config), "config": config, "quality": quality, "survives": arm in survivors,
        })  # fmt: skip
    return rows


def _ends(plan, epochs, draws):
    ends = []
    for row in plan:
        luck = draws.random()
        if row["question"] == "screening" and not row["survives"]:
            rung = min(int(draws.choice(RUNGS)), epochs)
            ends.append({"outcome": "stopped", "last": rung, "rung": rung})
        elif luck < 0.01:
            ends.append({"outcome": "failed", "last": 2})
        elif luck < 0.02:
            ends.append({"outcome": "diverged", "last": 4})
        else:
            ends.append({"outcome": "completed", "last": epochs})
    return ends


def _epochs(plan, ends, epochs, draws):
    """All epochs by the time of their end: each slot trains one trial after another."""
    slots = np.zeros(SLOTS)
    columns = {name: [] for name in ("trial", "epoch", "clock", "train")}
    for number, end in enumerate(ends):
        slot = int(np.argmin(slots))
        train = np.abs(draws.normal(_EPOCH_SECONDS, 1.0, end["last"]))
        clock = slots[slot] + 3.0 + np.cumsum(train + 1.0)
        slots[slot] = clock[-1] + 0.5
        columns["trial"].append(np.full(end["last"], number))
        columns["epoch"].append(np.arange(1, end["last"] + 1))
        columns["clock"].append(clock)
        columns["train"].append(train)
    flat = {name: np.concatenate(parts) for name, parts in columns.items()}
    quality = np.array([row["quality"] for row in plan])[flat["trial"]]
    accuracy = np.round(
        np.clip(quality - 0.5 / (flat["epoch"] + 0.5) + draws.normal(scale=0.004, size=len(quality)), 0, 1), 4
    )
    outcomes = np.array([end["outcome"] or "" for end in ends])[flat["trial"]]
    lasts = np.array([end["last"] for end in ends])[flat["trial"]]
    is_last = flat["epoch"] == lasts
    is_rung = np.isin(flat["epoch"], RUNGS) & np.array([r["question"] == "screening" for r in plan])[flat["trial"]]
    decision = np.where(
        is_last & (outcomes == "stopped"), "stop", np.where(is_last & (outcomes == "completed"), "last", "continue")
    )
    cutoff = np.where(decision == "stop", accuracy + 0.01, accuracy - 0.01)
    frame = pl.DataFrame({
        "trial_id": np.array([row["trial_id"] for row in plan])[flat["trial"]],
        "attempt": np.zeros(len(quality), np.int32), "epoch": flat["epoch"].astype(np.int32),
        "loss": 1 - accuracy, "accuracy": accuracy + 0.01, "val_loss": 1.1 - accuracy, "val_accuracy": accuracy,
        "learning_rate": np.full(len(quality), 0.001), "seconds_build": np.where(flat["epoch"] == 1, 2.0, 0.0),
        "seconds_train": np.round(flat["train"], 6), "seconds_validate": np.ones(len(quality)),
        "seconds_test": np.zeros(len(quality)), "seconds_measure": np.zeros(len(quality)),
        "seconds_features": np.zeros(len(quality)), "decision": decision,
        "clock": flat["clock"], "trial": flat["trial"],
        "rung": np.where(is_rung, flat["epoch"], -1).astype(np.int32), "cutoff": cutoff,
    })  # fmt: skip
    is_rung_row = pl.col("rung") > 0
    return frame.sort("clock").with_columns(
        pl.when(is_rung_row).then("rung").alias("rung"),
        pl.when(is_rung_row).then("cutoff").alias("cutoff"),
        (pl.lit(START) + pl.duration(microseconds=(pl.col("clock") * 1e6).cast(pl.Int64))).alias("at"),
        pl.int_range(pl.len()).cast(pl.Int64).alias("sequence"),
    )


def _trials(plan, ends, frame, epochs, draws):
    times = {row["trial"]: row for row in frame.group_by("trial").agg(
        pl.col("at").min().alias("first"), pl.col("at").max().alias("end"), pl.col("seconds_train").first(),
        pl.col("seconds_train").sum().alias("train"), pl.col("val_accuracy").last(),
        pl.col("val_accuracy").max().alias("best"),
        pl.col("cutoff").last(),
    ).to_dicts()}  # fmt: skip
    rows = []
    for number, (row, end) in enumerate(zip(plan, ends, strict=False)):
        if end["outcome"] is None:
            continue
        time = times[number]
        is_failed = end["outcome"] == "failed"
        rows.append({
            **{name: row[name] for name in ("run", "trial_id", "arm", "question", "seed", "config_json")},
            **row["config"],
            "attempt": 0, "continuation": 0, "outcome": end["outcome"], "epochs": end["last"], "epochs_asked": epochs,
            "family": "fashion_cnn", "dataset": "fashion_mnist", "data_fingerprint": "f0", "precision": "float32",
            "train_images": 54_000, "validation_images": 6_000, "test_images": 10_000,
            "last_val_accuracy": time["val_accuracy"], "best_val_accuracy": time["best"], "best_epoch": end["last"],
            "rung": end.get("rung"), "cutoff": time["cutoff"] if end.get("rung") else None,
            "reason": "ValueError: made to fail" if is_failed else "the loss was NaN or infinite in epoch 4"
            if end["outcome"] == "diverged" else None,
            "error_type": "ValueError" if is_failed else None, "error_message": "made to fail" if is_failed else None,
            "traceback": "Traceback (most recent call last):\n  …\nValueError: made to fail" if is_failed else None,
            "log": "line\n" * 40 if is_failed else None,
            "parameters": row["config"]["filters"] * 1000, "flops": row["config"]["filters"] ** 2 * 10_000,
            "size_bytes": row["config"]["filters"] * 4000, "latency_ms_median": 0.1 * row["config"]["filters"],
            "latency_ratio": 0.2 * row["config"]["filters"], "latency_ms_reference": 0.5, "latency_n": 100,
            "latency_busy_slots": 7,
            "seconds_start": 1.0, "seconds_import": 2.0, "seconds_train": time["train"],
            "seconds_validate": 1.0 * end["last"], "seconds_close": 0.5, "host": f"alder{number % 3}", "device": "cpu",
            "started_at": time["first"] - timedelta(seconds=time["seconds_train"] + 4.0),
            "ended_at": time["end"] + timedelta(seconds=0.5),
        })  # fmt: skip
    return rows


def _runs(sweep, last, *, ended):
    start = {
        "run": "r1", "event": "start", "at": START, "command": f"uv run sweeps/{sweep}.py --seeds 50", "slots": SLOTS,
        "git_commit": "0123abc", "versions_json": '{"keras": "3.15", "ray": "2.60"}', "hosts_json": '["alder"]',
        "study_question": "Which optimizer, learning rate and width train the CNN best?",
        "study_json": json.dumps({"sections": None, "reported": {}, "apart": {}}), "first_sequence": 0,
    }  # fmt: skip
    end = {"run": "r1", "event": "end", "at": last + timedelta(seconds=2), "outcome": "completed", "slots": SLOTS}
    return [start, end] if ended else [start]


def _classes(plan, ends, epochs, draws):
    rows = []
    for row, end in zip(plan, ends, strict=False):
        if end["outcome"] != "completed":
            continue
        hits = draws.binomial(200, row["quality"], len(_CLASSES))
        for index, name in enumerate(_CLASSES):
            predicted = np.full(len(_CLASSES), (200 - hits[index]) // (len(_CLASSES) - 1))
            predicted[index] = hits[index]
            rows.append({
                "trial_id": row["trial_id"], "attempt": 0, "epoch": epochs, "set_name": "validation",
                "class_index": index,
                "class_name": name, "precision": 0.9, "recall": hits[index] / 200, "f1": 0.9, "support": 200,
                "predicted": predicted.tolist(),
            })  # fmt: skip
    return rows


def _layers(plan, ends, epochs):
    return [
        {
            "trial_id": row["trial_id"], "attempt": 0, "epoch": epochs, "index": index, "name": name, "kind": kind,
            "parameters": 100, "activation_mean": 0.5, "activation_deviation": 1.0, "dead_share": 0.1,
            "weight_norm": 2.0, "gradient_norm": 0.1, "trainable": True,
        }
        for row, end in zip(plan, ends, strict=False)
        if end["outcome"] == "completed"
        for index, (name, kind) in enumerate((("conv", "Conv2D"), ("dense", "Dense")))
    ]  # fmt: skip


def _write_parts(results, table, sweep, content, parts=1):
    folder = Path(results) / table / sweep
    folder.mkdir(parents=True, exist_ok=True)
    content = content.replace_schema_metadata({b"schema_version": str(SCHEMA_VERSION).encode()})
    size = max(1, -(-content.num_rows // parts))
    for number, first in enumerate(range(0, content.num_rows, size)):
        pq.write_table(content.slice(first, size), folder / part_name(number, number), compression="zstd")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, value in (("trials", 1000), ("epochs", 50), ("running", 0), ("waiting", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    write(options.folder, **{k: v for k, v in vars(options).items() if k != "folder"})
