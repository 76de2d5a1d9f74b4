"""A training process has one thread, and knows its device."""
# ruff: noqa: E402

import os
import platform
import sys

import psutil
import pytest

import trainables
from trainables import hardware
from trainables.worker import warm_up

hardware.one_thread()

import keras
import tensorflow as tf


def test_tensorflow_has_one_thread_and_keras_runs_on_it():
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert keras.backend.backend() == "tensorflow"


def test_being_told_twice_changes_nothing():
    tf.constant(1) + 1  # from here on TensorFlow would refuse another number of threads
    hardware.one_thread()
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1


def test_a_gpu_is_hidden_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    hardware.one_thread(gpu=True)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    hardware.one_thread()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"


def test_what_the_user_chose_is_kept(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    hardware.one_thread()
    assert (os.environ["KERAS_BACKEND"], os.environ["TF_CPP_MIN_LOG_LEVEL"]) == ("jax", "0")


def test_the_device_is_the_cpu_where_no_gpu_is_seen():
    assert hardware.device() == hardware.cpu_model() != ""


def test_the_device_is_the_gpu_where_one_is_seen(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu:0"] if kind == "GPU" else [])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": f"Fast on {gpu}"})
    assert hardware.device() == "Fast on gpu:0"


@pytest.fixture
def cpuinfo(monkeypatch, tmp_path):
    """Replaces /proc/cpuinfo; it does not exist until a test writes it."""
    monkeypatch.setattr(hardware, "Path", lambda path: tmp_path / path.removeprefix("/proc/"))
    monkeypatch.setattr(platform, "machine", lambda: "made_64")
    return tmp_path / "cpuinfo"


def test_the_cpu_is_named_as_linux_names_it(cpuinfo):
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Xeon: 2.80GHz\n\nmodel name\t: another\n")
    assert hardware.cpu_model() == "Xeon: 2.80GHz"


@pytest.mark.parametrize("text", [None, "processor\t: 0\nBogoMIPS\t: 50.00\n"], ids=["elsewhere", "on ARM"])
def test_the_cpu_is_named_as_python_names_it_elsewhere(cpuinfo, monkeypatch, text):
    if text is not None:
        cpuinfo.write_text(text)
    monkeypatch.setattr(platform, "processor", lambda: "made by hand")
    assert hardware.cpu_model() == "made by hand"
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert hardware.cpu_model() == "made_64"


@pytest.mark.parametrize(("text", "share"), [(None, 1), ("max\n", 1), (str(1 << 60), 1), ("1000000\n", 0)])
def test_the_memory_is_the_machines_or_the_containers(monkeypatch, tmp_path, text, share):
    if text is not None:
        (tmp_path / "memory.max").write_text(text)
    monkeypatch.setattr(hardware, "Path", lambda path: tmp_path / path.rpartition("/")[2])
    assert hardware.memory_bytes() == (psutil.virtual_memory().total if share else 1_000_000)


def test_what_is_imported_is_what_trains(monkeypatch):
    monkeypatch.delitem(sys.modules, "trainables.training.loop", raising=False)
    monkeypatch.setattr(trainables, "training", None, raising=False)
    warm_up.imports()
    assert "trainables.training.loop" in sys.modules
