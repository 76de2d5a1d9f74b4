"""Small sweeps recorded by the Writer, as a command would leave them: some trials ended, some not."""

from datetime import UTC, datetime, timedelta

from layersweep.records.write import Writer

START = datetime(2026, 11, 3, 9, tzinfo=UTC)


def plan(trial_id, arm="adam", seed=1, epochs=2, question="comparison", run="r1"):
    return {"run": run, "trial_id": trial_id, "arm": arm, "seed": seed, "epochs": epochs, "question": question}


def trial(trial_id, outcome="completed", *, attempt=0, continuation=0, epochs=2, **more):
    row = {"trial_id": trial_id, "attempt": attempt, "continuation": continuation, "outcome": outcome}
    return row | {"epochs": epochs, "arm": "adam", "seed": 1, "question": "comparison", "run": "r1"} | more


def curve(trial_id, *accuracies, attempt=0, first=1):
    ids = {"trial_id": trial_id, "attempt": attempt}
    return [ids | {"epoch": n, "val_accuracy": a, "loss": 1 / n} for n, a in enumerate(accuracies, first)]


def run(name="r1", event="start", at=START, **more):
    return {"run": name, "event": event, "at": at, **more}


def record(results, sweep, **tables):
    """Writes these rows in one flush; the configuration has the key `filters`."""
    with Writer(results, sweep, config_types={"filters": int}) as writer:
        for table, rows in tables.items():
            writer.append(table, rows)


def two_sweeps(results):
    """`big`: one trial of each fate, the last run killed; `small`: shares a trial with `big`, ended well."""
    failed = {"reason": "ValueError: no", "error_type": "ValueError", "error_message": "no", "traceback": "Trace\n[x]"}
    record(
        results,
        "big",
        plan=[
            *(plan("aa11", question="screening"), plan("aa11"), plan("ab22", "sgd"), plan("cc33", seed=2)),
            *(plan("dd44", "sgd", 2), plan("ee55", seed=3), plan("ff66", seed=4)),
        ],
        runs=[run(), run(event="end", outcome="ended", at=START), run("r2", at=START + timedelta(hours=1))],
        epochs=[
            *(*curve("aa11", 0.5, 0.75), *curve("ab22", 0.5), *curve("ab22", 0.25, 0.5, attempt=1)),
            *(*curve("cc33", 0.5), *curve("cc33", 0.625, first=2), *curve("dd44", 0.125), *curve("ee55", 0.25)),
        ],
        trials=[
            trial("aa11", best_val_accuracy=0.75, filters=32, warning="slow"),
            trial("ab22", "failed", epochs=1, arm="sgd", log="/gone/ab22.log", **failed),
            trial("ab22", "failed", attempt=1, arm="sgd", **failed),
            trial("cc33", "completed", continuation=1, seed=2, best_val_accuracy=0.625),
            trial("cc33", "failed", epochs=1, seed=2, **failed),
            trial("dd44", "stopped", epochs=1, arm="sgd", seed=2, best_val_accuracy=0.125),
        ],
    )
    record(
        results,
        "small",
        plan=[plan("ff66", seed=4), plan("aa11")],
        runs=[run("r3"), run("r3", "end", outcome="interrupted", at=START)],
        epochs=curve("ff66", 0.5, 0.5),
        trials=[trial("ff66", seed=4, best_val_accuracy=0.5)],
    )
