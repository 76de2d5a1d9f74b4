"""Work on all cores: in order, in as many processes as there is memory for; a process that is killed is an error."""

import os
import signal

import pytest

from trainables.data.pictures import all_cores
from trainables.data.pictures.all_cores import on_all_cores
from trainables.errors import DataError


def process(items):
    return os.getpid(), sum(items)


def killed(items):
    if items == [3]:
        os.kill(os.getpid(), signal.SIGKILL)
    return items


def work_alone(items):
    if items == [2]:
        raise DataError("the second")
    return items


LISTS = [[k] for k in range(20)]


def test_results_are_in_order(monkeypatch):
    monkeypatch.setattr(all_cores, "cores", lambda: 4)
    lines = []
    results = list(on_all_cores(process, LISTS, 1, lines.append))
    assert [total for _, total in results] == list(range(20))
    assert os.getpid() not in {number for number, _ in results}
    assert lines == [f"  {tenths} %" for tenths in range(10, 101, 10)]


@pytest.mark.parametrize(("memory", "processes"), [(100, 1), (500, 1), (400, 1), (250, 2), (1, 2)])
def test_fewer_processes_work_where_there_is_less_memory(monkeypatch, memory, processes):
    monkeypatch.setattr(all_cores, "memory_bytes", lambda: 1000 if memory > 1 else 1 << 30)
    monkeypatch.setattr(all_cores, "cores", lambda: 1 if memory == 100 else 2)
    numbers = {number for number, _ in on_all_cores(process, LISTS, memory, lambda _: None)}
    assert (numbers == {os.getpid()}) is (processes == 1)


def test_a_process_that_the_system_ends_is_an_error(monkeypatch):
    monkeypatch.setattr(all_cores, "cores", lambda: 2)
    with pytest.raises(DataError, match=r"the system has ended a process that decoded pictures.*memory ran out"):
        list(on_all_cores(killed, LISTS, 1, lambda _: None))


@pytest.mark.parametrize("cores", [1, 2])
def test_an_error_of_the_work_is_raised(monkeypatch, cores):
    monkeypatch.setattr(all_cores, "cores", lambda: cores)
    with pytest.raises(DataError, match="the second"):
        list(on_all_cores(work_alone, LISTS, 1, lambda _: None))


def test_nothing_to_do_gives_nothing():
    assert list(on_all_cores(process, [], 1, pytest.fail)) == []
