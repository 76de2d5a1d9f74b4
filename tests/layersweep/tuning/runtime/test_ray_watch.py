"""The look after Ray, without Ray."""

import os
import signal
import threading

from layersweep.tuning.runtime.ray_watch import RayWatch


def test_a_ray_that_is_shut_down_on_purpose_is_not_taken_for_dead(monkeypatch):
    looking, shut_down = threading.Event(), threading.Event()

    def alive():
        looking.set()
        shut_down.wait()
        return False

    killed = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    watch = RayWatch(alive)
    with watch:
        looking.wait()
        threading.Timer(0.2, shut_down.set).start()
    assert shut_down.is_set()  # it was waited for
    assert not watch.ray_has_died
    assert killed == []


def test_a_ray_that_has_died_ends_the_process(monkeypatch):
    killed = threading.Event()
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.set() if (pid, number) == wanted else None)
    wanted = os.getpid(), signal.SIGTERM
    watch = RayWatch(lambda: False)
    with watch:
        assert killed.wait(10)
    assert watch.ray_has_died
