"""Ray's start, without Ray."""

import gc
import weakref

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


def test_what_nothing_refers_to_is_freed_before_ray_shuts_down(monkeypatch):
    """Another thread that frees a reference to an object while Ray shuts down ends the process."""

    class Reference:
        pass

    cycle = Reference()
    cycle.itself = cycle
    freed = weakref.ref(cycle)
    found = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", lambda **_options: None)
    monkeypatch.setattr(engine, "_where", lambda *_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: found.append(freed()))
    gc.disable()
    try:
        with engine.ray_started(1):
            del cycle
    finally:
        gc.enable()
    assert found == [None]
