"""Trainings of AutoKeras' networks that are made up, some of which end badly: by what their choices hash to."""

import hashlib
from collections.abc import Iterator
from typing import Any

import made_up

from layersweep.records.values import Epoch, NetworkSummary
from trainables.data.dataset import Data
from trainables.nas import autokeras


def train(config: autokeras.Config, data: Data, **more: Any) -> Iterator[NetworkSummary | Epoch]:
    luck = hashlib.sha256(config.choices.encode()).digest()
    if luck[0] % 5 == 0:
        raise MemoryError("made to run out of memory")
    misdeed = {1: "raise", 2: "nan"}.get(luck[0] % 5, "none")
    yield from made_up.train(
        made_up.Config(quality=luck[1] / 256, misdeed=misdeed, seconds=0.1, batch_size=config.batch_size), data, **more
    )
