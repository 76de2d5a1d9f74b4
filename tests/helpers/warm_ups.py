"""What fork servers of tests import, and what their children say of the process that they find themselves in."""

import os
import random
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

from trainables import hardware
from trainables.worker import warm_up
from trainables.worker.training_server import WarmUp


def nothing():
    pass


def a_thread():
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def state():
    """What a process started afresh would not share with another."""
    return repr((random.getstate(), np.random.get_state()))


def session_and_streams():
    return repr(
        [str(Path(f"/proc/self/fd/{number}").readlink()) for number in (0, 1, 2)] + [os.getsid(0) == os.getpid()]
    )


def tensorflow_as_found():
    """Whether TensorFlow has been set to work, or has looked for devices, before this process was forked."""
    from tensorflow.python.eager import context

    found = context.context()
    return f"initialised: {found._initialized}, devices: {found._physical_devices}"


SLOW = WarmUp(imports=partial(time.sleep, 3600), device=hardware.cpu_model)
A_SECOND = WarmUp(imports=partial(time.sleep, 1), device=hardware.cpu_model)
THREADED = WarmUp(imports=a_thread, device=hardware.cpu_model)
STATE = WarmUp(imports=nothing, device=state)
STREAMS = WarmUp(imports=nothing, device=session_and_streams)
KERAS = WarmUp(imports=warm_up.imports, device=tensorflow_as_found)
