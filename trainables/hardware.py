"""What a training process must be told before Keras is imported, and what it runs on."""

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
"""What a training process is started with: else NumPy's OpenBLAS starts a thread a core when it is imported, and
Arrow's jemalloc (Keras imports it, by way of pandas) one. While there are threads, no process is forked."""


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """While inside, packages that were not imported yet are as if they were not installed.

    Keras imports some if they are there, for data frames and drawings that no training needs: a fifth of its time.
    """
    modules = cast("dict[str, object]", sys.modules)
    absent = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(absent))  # where a module is None, its import fails
    try:
        yield
    finally:
        for name in absent:
            del modules[name]


def one_thread(*, gpu: bool = False) -> None:
    """Makes this process train on one thread, which is also what makes it repeatable; call it before any Keras import.

    Many trials on one thread each beat one trial on many: two trials of `fashion_cnn` trained 400 images/s each, one on
    both cores 640 (measured in November 2026 on a machine of two cores without a GPU).
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
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    """The CPU's model as Linux names it, else as Python's platform module does."""
    import platform

    described = first_core(Path("/proc/cpuinfo"))
    return described.get("model name") or platform.processor() or platform.machine()


def first_core(cpu_information: Path) -> dict[str, str]:
    """What Linux says there of the first core, by name; nothing where there is no Linux."""
    try:
        first = cpu_information.read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
