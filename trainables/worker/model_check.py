"""Builds models in a separate process before any trial starts, to find problems that only building shows: `main()`.

It also downloads missing weights. It reads a JSON list of models from stdin, and writes a JSON list of problems to
stdout, with null for a model without a problem.
"""

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, TextIO

from layersweep.records.values import Layer, NetworkSummary
from trainables import config as domains
from trainables.data.download import keras_home
from trainables.errors import WeightsError
from trainables.families.family_code import FamilyCode
from trainables.keys import Keys

_ADDRESS: Final = re.compile(r"https?://\S+?/([^/\s:]+\.h5)")


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model to build: its family, its configuration as JSON, the images' shape, the number of classes."""

    family: FamilyCode
    config_json: str
    image_shape: tuple[int, int, int]
    classes: int


def problems(models: Sequence[ModelSpec]) -> list[str | None]:
    """The problem of each model in a sentence, or None; takes ten seconds or more, because Keras is imported.

    Raises:
        WeightsError: if the process itself failed.
    """
    answers: list[str | None] = _ask("main", models)
    return answers


def _ask(function: str, models: Sequence[ModelSpec]) -> Any:
    """The answers of a function of this module, which runs in a process of its own.

    Raises:
        WeightsError: if the process itself failed.
    """
    request = pickle.dumps(list(models))
    command = [sys.executable, "-c", f"from trainables.worker.model_check import {function}; {function}()"]
    process = subprocess.run(command, input=request, capture_output=True, check=False)
    if process.returncode or not process.stdout:
        last = next(
            (line for line in reversed(process.stderr.decode(errors="replace").splitlines()) if line.strip()),
            "no output",
        )
        raise WeightsError(f"the process that checks models failed: {last}")
    return json.loads(process.stdout)


def user_problems(models: Sequence[ModelSpec]) -> list[str | None]:
    """The problem of each network that a user's code builds, or None; it ends with the first problem.

    Raises:
        WeightsError: if the process itself failed.
    """
    answers: list[str | None] = _ask("inspect", models)
    return answers


def summaries(models: Sequence[ModelSpec]) -> list[dict[str, Any] | None]:
    """What each model is now: parameters, layers, structure, fingerprint; None if it cannot be built.

    Raises:
        WeightsError: if the process itself failed.
    """
    answers: list[dict[str, Any] | None] = _ask("summarize", models)
    return answers


def networks(models: Sequence[ModelSpec]) -> list[NetworkSummary | None]:
    """The layers and sizes of each model, for which no memory is taken; None if it cannot be built.

    Raises:
        WeightsError: if the process itself failed.
    """
    answers: list[dict[str, Any] | None] = _ask("outline", models)
    return [
        None
        if answer is None
        else NetworkSummary(**{**answer, "layers": tuple(Layer(**layer) for layer in answer["layers"])})
        for answer in answers
    ]


def main() -> None:
    """Checks the models that stdin lists."""
    _answer(_problem)


def inspect() -> None:
    """Checks the networks of users that stdin lists, up to the first problem."""
    models, answers = _request()
    problems: list[str | None] = []
    for model in models:
        sys.excepthook = partial(_report_failure, answers, problems, model)
        from trainables.worker import network_check

        config = domains.make(model.family.Config, json.loads(model.config_json))
        problems.append(network_check.problem(model.family.build, config, model.image_shape, model.classes))
        if problems[-1] is not None:
            break
    sys.excepthook = sys.__excepthook__
    answers.write(json.dumps(problems))
    answers.close()


def _report_failure(
    answers: TextIO,
    problems: list[str | None],
    model: ModelSpec,
    _kind: type[BaseException],
    error: BaseException,
    _trace: TracebackType | None,
) -> None:
    """Answers with an error of a user's code, which may be any, and ends this process."""
    from trainables.worker import network_check

    answers.write(json.dumps([*problems, network_check.failure(model.family.name, error)]))
    answers.close()
    os._exit(0)


def summarize() -> None:
    """Summarizes the models that stdin lists."""
    _answer(_summary)


def outline() -> None:
    """Describes the models that stdin lists, without memory for their weights, and ends this process."""
    models, answers = _request()
    import keras

    with keras.StatelessScope():  # at its end Keras would make all weights
        answers.write(json.dumps([_network(model) for model in models]))
        answers.close()
        os._exit(0)


def _answer(function: Callable[[ModelSpec], Any]) -> None:
    models, answers = _request()
    answers.write(json.dumps([function(model) for model in models]))
    answers.close()


def _request() -> tuple[list[ModelSpec], TextIO]:
    """The models on stdin, and where to write what stdout gets: what a user's code prints goes to stderr."""
    from trainables.worker.warm_up import imports

    models: list[ModelSpec] = pickle.load(sys.stdin.buffer)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    imports()
    return models, answers


def _summary(model: ModelSpec) -> dict[str, Any] | None:
    from trainables.layers.batch_normalization import set_momentum
    from trainables.measures.model_measures import model_size
    from trainables.training.functional import functional

    config = domains.make(model.family.Config, json.loads(model.config_json))
    try:
        network = functional(model.family.build(config, model.image_shape, model.classes))
    except (WeightsError, ValueError):  # the training says it, with the reason
        return None
    if isinstance(config, Keys):  # as the training does before it reports its network
        set_momentum(network, config.normalization_momentum)
    size = model_size(network, seconds_build=0.0)
    return {"parameters": size.parameters, "layers": len(size.layers), "fingerprint": size.fingerprint}


def _network(model: ModelSpec) -> dict[str, Any] | None:
    from trainables.measures.model_measures import model_size
    from trainables.training.functional import functional

    config = domains.make(model.family.Config, json.loads(model.config_json))
    try:
        network = functional(model.family.build(config, model.image_shape, model.classes))
    except (WeightsError, ValueError):  # the training says it, with the reason
        return None
    return asdict(model_size(network, seconds_build=0.0))


def _problem(model: ModelSpec) -> str | None:
    config = domains.make(model.family.Config, json.loads(model.config_json))
    try:
        model.family.build(config, model.image_shape, model.classes)
    except (WeightsError, ValueError) as error:  # Keras raises ValueError if the images do not fit
        return " ".join(str(error).split())
    except Exception as error:
        address = _ADDRESS.search(str(error))
        if type(error) is not Exception or address is None:
            raise
        return (
            f"ImageNet's weights could not be downloaded from {address[0]}; put that file at "
            f"{keras_home() / 'models' / address[1]} yourself"
        )
    return None
