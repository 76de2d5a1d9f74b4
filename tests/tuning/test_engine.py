"""Ray's start, without Ray."""

import pytest
import ray

from tuning import engine
from tuning.errors import BrokenOffError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Failed to start GCS.  Last 0 lines of error files:\n\nsee the logs"), "Failed to start GCS."),
        (Exception("The current node timed out during startup."), "The current node timed out during startup."),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_ray_that_does_not_start_is_one_line_and_what_it_started_is_ended(monkeypatch, error, said):
    ended = []

    def fail(**_options):
        raise error

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append(True))
    with pytest.raises(BrokenOffError) as told, engine.ray_started(1):
        pass
    assert str(told.value).startswith(f"Ray did not start ({said}")
    assert str(told.value).endswith("the same command tries again")
    assert "\n" not in str(told.value)
    assert ended == [True]
