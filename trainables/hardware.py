"""Settings that a training process needs before Keras is imported, and the hardware that it runs on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""The environment of a training process. Without it, NumPy's OpenBLAS starts a thread per core at its import, and
Arrow's jemalloc (Keras imports it through pandas) starts one. A process with several threads must not be forked."""


@contextmanager
def without_packages(*names: str) -> Iterator[None]:
    """Inside, these packages count as not installed, unless they are imported already.

    Keras imports some packages if they are installed, for data frames and drawings that no training needs. That takes
    a fifth of its import time.
    """
    modules = cast("dict[str, object]", sys.modules)
    missing = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(missing))  # where a module is None, its import fails
    try:
        yield
    finally:
        for name in missing:
            del modules[name]


@contextmanager
def without_stderr() -> Iterator[None]:
    """Discards stderr: TensorFlow and LiteRT write messages there from C++, which no setting turns off."""
    sys.stderr.flush()
    stderr_copy = os.dup(2)
    with Path(os.devnull).open("wb") as null_device:
        os.dup2(null_device.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr_copy, 2)
            os.close(stderr_copy)


def one_thread(*, gpu: bool = False) -> None:
    """Makes this process train on one thread, so that results are repeatable; call it before Keras is imported.

    Many trials on one thread each are faster than one trial on many threads. Two trials of `fashion_cnn` trained 400
    images/s each; one trial on both cores trained 640 (November 2026, a machine with two cores and no GPU).
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["OMP_NUM_THREADS"] = "1"
    if not gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """The memory of this machine, or the limit of the container that it runs in."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return total if text == "max" else min(total, int(text))


def on_gpu() -> bool:
    """Whether this process trains on a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def device() -> str:
    """The processor that trains: the GPU's name, or the CPU's model."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    return cpu_model()


def cpu_model() -> str:
    """The CPU's model by its name in Linux, else in Python's platform module."""
    import platform

    described = first_core(Path("/proc/cpuinfo"))
    return described.get("model name") or platform.processor() or platform.machine()


def first_core(cpu_information: Path) -> dict[str, str]:
    """Linux' facts about the first core, by name; empty on other systems."""
    try:
        first = cpu_information.read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
