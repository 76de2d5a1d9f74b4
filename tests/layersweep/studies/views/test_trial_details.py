"""What the page says of one trial."""

import json

from recorded_rows import record, trial

from layersweep.studies.views.trial_details import trial_details


def details(results, name="aa", config=None, leader=None, log_bytes=4096):
    return trial_details(results, [name], {name: config}, leader, log_bytes=log_bytes)[name]


def test_what_differs_from_the_leader_comes_first(tmp_path):
    own, leader = {"filters": 8, "rate": 0.1, "block": "a"}, {"filters": 8, "rate": 0.2, "warm": True}
    config = details(tmp_path, config=json.dumps(own), leader=json.dumps(leader))["config"]
    assert config == [["rate", "0.1", "0.2"], ["block", "a", ""], ["warm", "", "True"], ["filters", "8", "8"]]


def test_without_a_leader(tmp_path):
    assert details(tmp_path, config='{"rate": 0.1}')["config"] == [["rate", "0.1", ""]]


def test_nothing_is_recorded_yet(tmp_path):
    assert details(tmp_path) == {"config": [], "attempts": [], "layers": None, "log": "", "traceback": ""}


def test_attempts_in_order(tmp_path):
    record(
        tmp_path, "s",
        trials=[
            trial("aa", attempt=1, seconds_train=2.0, host="b"),
            trial("aa", "failed", reason="ValueError: x", error_type="ValueError", traceback="first", log="old"),
        ],
    )  # fmt: skip
    view = details(tmp_path)
    assert [(row["attempt"], row["outcome"], row["error"]) for row in view["attempts"]] == [
        (0, "failed", "ValueError"), (1, "completed", ""),
    ]  # fmt: skip
    assert view["attempts"][1]["seconds"] == 2.0
    assert (view["traceback"], view["log"]) == ("first", "old")


def test_the_end_of_a_long_log_and_bytes_that_are_no_text(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "aa.log").write_bytes(b"\xff" + b"x" * 9000 + "end é".encode())
    log = details(tmp_path)["log"]
    assert log.endswith("xend é")
    assert len(log.encode()) <= 4096


def test_all_logs_together_have_a_limit(tmp_path):
    (tmp_path / "logs").mkdir()
    for name in "abc":
        (tmp_path / "logs" / f"{name}.log").write_text(name * 3000)
    views = trial_details(tmp_path, [*"abc"], {}, None, log_bytes=5000)
    assert [len(views[name]["log"]) for name in "abc"] == [3000, 2000, 0]


def test_the_layers_of_the_last_measured_epoch(tmp_path):
    rows = [
        {"trial_id": "aa", "attempt": attempt, "epoch": epoch, "index": index, "name": f"dense_{index}",
         "kind": "Dense", "parameters": 12, "activation_mean": epoch / 3, "dead_share": float("nan"),
         "weight_norm": 2.0}
        for attempt, epoch in ((0, 5), (1, 1), (1, 2))
        for index in (1, 0)
    ]  # fmt: skip
    record(tmp_path, "s", layers=rows)
    layers = details(tmp_path)["layers"]
    assert layers["epoch"] == 2
    assert layers["rows"][0] == ["dense_0", "Dense", 12, 0.66667, None, 2.0, None]
    assert [row[0] for row in layers["rows"]] == ["dense_0", "dense_1"]
