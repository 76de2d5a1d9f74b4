"""Sweeps of Keras image models: what a script of a user's needs, imported when it is used."""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from layersweep.studies.sweep_result import Result
    from layersweep.tuning.command.notebook_run import Error, run
    from layersweep.tuning.command.sweep_command import main
    from layersweep.tuning.experiment.sweep import Sweep
    from search_spaces.ranges import Range, Space
    from trainables.config import between, one_of, text
    from trainables.families.family import classifier, trains
    from trainables.hyper_models.family import hyper_model
    from trainables.keys import Keys
    from trainables.layers.preprocessing import inputs

__all__ = [
    "Error", "Keys", "Range", "Result", "Space", "Sweep", "between", "classifier", "hyper_model", "inputs", "main",
    "one_of", "run", "text", "trains",
]  # fmt: skip

_HOMES: Final = {
    "Error": "layersweep.tuning.command.notebook_run",
    "Keys": "trainables.keys",
    "Range": "search_spaces.ranges",
    "Result": "layersweep.studies.sweep_result",
    "Space": "search_spaces.ranges",
    "Sweep": "layersweep.tuning.experiment.sweep",
    "between": "trainables.config",
    "classifier": "trainables.families.family",
    "hyper_model": "trainables.hyper_models.family",
    "inputs": "trainables.layers.preprocessing",
    "main": "layersweep.tuning.command.sweep_command",
    "one_of": "trainables.config",
    "run": "layersweep.tuning.command.notebook_run",
    "text": "trainables.config",
    "trains": "trainables.families.family",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for: records and studies, which are below this package, need none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
