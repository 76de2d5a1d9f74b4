"""The look after Ray, without Ray."""

import threading

from layersweep.tuning.runtime.ray_watch import RayWatch


def test_a_ray_that_is_shut_down_on_purpose_is_not_taken_for_dead():
    looking, shut_down = threading.Event(), threading.Event()

    def alive():
        looking.set()
        shut_down.wait()
        return False

    stops = []
    watch = RayWatch(alive, lambda: stops.append("stop"))
    with watch:
        looking.wait()
        threading.Timer(0.2, shut_down.set).start()
    assert shut_down.is_set()  # it was waited for
    assert not watch.ray_has_died
    assert stops == []


def test_a_ray_that_has_died_ends_its_command():
    stopped = threading.Event()
    watch = RayWatch(lambda: False, stopped.set)
    with watch:
        assert stopped.wait(10)
    assert watch.ray_has_died
