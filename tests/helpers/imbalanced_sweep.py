"""A sweep on 970 + 30 pictures, 162 + 5 of them to validate: arms that learn, and one that always says `common`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from recorded_sweep import START, Sweep

from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, MACRO_F1
from layersweep.records.study_question import StudyQuestion

NAMES = ("common", "rare")
SUPPORTS = (162, 5)
HITS: Mapping[str, Sequence[tuple[int, int]]] = {
    "careful": ((155, 5), (156, 5), (157, 5)),
    "hasty": ((162, 3), (160, 4), (161, 4)),
    "constant": ((162, 0), (162, 0), (162, 0)),
}
"""The hits of each class, by arm and seed. The hasty arm has the higher accuracy, and the lower balanced one."""


def values_of(hits: Sequence[int], supports: Sequence[int] = SUPPORTS) -> dict[str, float]:
    """The metrics of two classes."""
    predicted = [hits[0] + supports[1] - hits[1], hits[1] + supports[0] - hits[0]]
    f1 = [2 * hit / (n + said) for hit, n, said in zip(hits, supports, predicted, strict=True)]
    recall = [hit / n for hit, n in zip(hits, supports, strict=True)]
    accuracy = sum(hits) / sum(supports)
    return {ACCURACY: accuracy, BALANCED_ACCURACY: sum(recall) / 2, MACRO_F1: sum(f1) / 2}


def imbalanced_sweep(
    results: Path,
    metric: str = BALANCED_ACCURACY,
    *,
    names: Sequence[str] = NAMES,
    has_predictions: bool = True,
    older: Sequence[str] = (),
    config: Mapping[str, str] | None = None,
) -> Sweep:
    """Records it; the `older` arms as a version that knew accuracy alone."""
    sweep = Sweep(results, "photos", epochs=2)
    question = StudyQuestion(text="Which one sees the rare ones?", metric=metric)
    sweep.run(options_json="{}", first_sequence=0, **question.columns)
    for arm, hits_of_seeds in HITS.items():
        for seed, hits in enumerate(hits_of_seeds, 1):
            add_trial(
                sweep, arm, seed, hits, names=names if has_predictions else (), is_older=arm in older, config=config
            )
    sweep.add("runs", {"run": "r1", "event": "end", "at": START, "outcome": "completed"})
    sweep.write()
    return sweep


def add_trial(
    sweep: Sweep,
    arm: str,
    seed: int,
    hits: Sequence[int],
    *,
    names: Sequence[str],
    is_older: bool = False,
    config: Mapping[str, str] | None = None,
) -> None:
    """Records a trial with its epochs, its classes (none without names) and its result on the test set."""
    values = values_of(hits)
    images = {"train_images": 833, "validation_images": 167, "test_images": 167, "dataset": "image_folder"}
    last = {} if is_older else {f"last_{name}": value for name, value in values.items() if name != ACCURACY}
    settings = {"optimizer": arm, **(config or {})}
    recorded = {} if is_older else {"majority_share": 0.97}
    trial_id = sweep.trial(
        arm, seed, [0.9, values[ACCURACY]], test=values[ACCURACY], config={"optimizer": arm},
        config_json=json.dumps(settings), **images, **last, **recorded,
    )  # fmt: skip
    for row in sweep.rows["plan"][-1:]:
        row["config_json"] = json.dumps(settings)
    if not is_older:
        for share, row in zip((0.8, 1.0), sweep.rows["epochs"][-2:], strict=True):
            row |= {name: share * value for name, value in values.items() if name != ACCURACY}
        sweep.rows["tests"][-1] |= {"balanced_accuracy": values[BALANCED_ACCURACY] - 0.01, "macro_f1": 0.5}
    matrix = [[hits[0], SUPPORTS[0] - hits[0]], [SUPPORTS[1] - hits[1], hits[1]]]
    for set_name in ("validation", "test"):
        for index, (name, row) in enumerate(zip(names, matrix, strict=False)):
            ids = {"trial_id": trial_id, "attempt": 0, "epoch": 2, "set_name": set_name}
            facts = {"class_index": index, "class_name": name, "support": sum(row), "predicted": row}
            sweep.add("classes", ids | facts | {"recall": row[index] / sum(row)})
