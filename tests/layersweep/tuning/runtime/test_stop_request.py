"""Requests to stop, by real signals and from other threads."""

import signal
import threading
import time

import pytest

from layersweep.tuning.runtime.stop_request import StopRequest, stopper


def handlers():
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request_and_the_earlier_handlers_are_back(number):
    earlier, stop = handlers(), StopRequest()
    with stop.on_signals():
        signal.raise_signal(number)
        assert stop.requested
        assert stop.signal == number
        with pytest.raises(KeyboardInterrupt):
            stop.check()
    assert handlers() == earlier


def test_further_signals_do_nothing_while_something_starts_or_is_cleaned_up():
    stop = StopRequest()
    with stop.on_signals():
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
    assert stop.requested


def test_a_second_signal_interrupts_what_may_hang_and_a_third_one_not_its_clean_up():
    stop, steps = StopRequest(), []

    def work():
        with stop.on_signals(), stop.interruptible():
            signal.raise_signal(signal.SIGINT)
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(signal.SIGINT)
                steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["cleaned up"]


def test_what_was_stopped_before_does_not_begin():
    stop = StopRequest(requested=True)
    with pytest.raises(KeyboardInterrupt), stop.interruptible():
        pytest.fail("it has begun")


def test_handlers_within_handlers_are_taken_back_in_turn():
    earlier, stop = handlers(), StopRequest()
    with stop.on_signals():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Ray does when it starts
        with stop.on_signals():
            signal.raise_signal(signal.SIGTERM)
    assert stop.requested
    assert handlers() == earlier


def test_another_thread_has_no_handlers_and_is_stopped_all_the_same():
    earlier, seen = handlers(), []
    ready = threading.Event()

    def work():
        stop = StopRequest()
        seen.append(stopper(stop))
        with stop.on_signals():
            seen.append(handlers())
            ready.set()
            try:
                while True:
                    time.sleep(0.01)
            except KeyboardInterrupt:
                seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    request_stop = seen[0]
    request_stop()
    request_stop()
    thread.join()
    assert seen[1:] == [earlier, True]


def test_the_main_thread_is_stopped_by_a_signal_which_wakes_it():
    stop = StopRequest()
    with stop.on_signals():
        request_stop = stopper(stop)
        timer = threading.Timer(0.05, request_stop)
        timer.start()
        timer.join()
        while not stop.requested:
            time.sleep(0.01)
    assert stop.signal == signal.SIGTERM
