"""Builds the networks of a user's own family once before any trial, and refuses those that cannot be trained."""

import hashlib
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Final

from layersweep.formatting import count
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_checks import model_spec, without_optimizer
from layersweep.tuning.storage.network_cache import read_cache, write_cache
from trainables import config as domains
from trainables.errors import WeightsError

if TYPE_CHECKING:
    from layersweep.tuning.experiment.request import Request
    from trainables.data.dataset import Data
    from trainables.worker.model_check import ModelSpec

_FILE: Final = "checked_networks.json"


def check_networks(request: "Request", data: "Data", say: Callable[[str], None]) -> None:
    """Refuses arms of a user's family whose network cannot be built, trained, saved or loaded.

    Each network is checked once for each state of the source code and of Keras.

    Raises:
        UsageError: naming the arm, the function, and what is wrong.
    """
    from trainables.worker import model_check

    names = {_name(request, spec): (spec, arm) for spec, arm in _specs(request, data).items()}
    if not names:
        return
    file = request.settings.results / ".state" / _FILE
    checked_networks = read_cache(file)
    missing = {name: pair for name, pair in names.items() if name not in checked_networks}
    if not missing:
        return
    say(f"checking {count(len(missing), 'network')} of {request.sweep.name} before any trial")
    try:
        problems = model_check.user_problems([spec for spec, _ in missing.values()])
    except WeightsError as error:
        raise UsageError(f"the networks of {request.sweep.name} could not be checked: {error}") from error
    answers = dict(zip(missing, problems, strict=False))  # the first problem is the last answer
    if not request.settings.dry_run:
        write_cache(file, checked_networks | {name: None for name, problem in answers.items() if problem is None})
    for name, problem in answers.items():
        if problem is not None:
            raise UsageError(f"arm {missing[name][1].name}: {problem}")


def _specs(request: "Request", data: "Data") -> dict["ModelSpec", Arm]:
    """The networks of users' families, each with its first arm; of a tuned arm the one that it begins with."""
    sweep, results = request.sweep, request.settings.results
    tuned = [
        Arm(name=arm.name, config=domains.make(arm.config_type, dict(arm.fixed_values))) for arm in request.tuned_arms
    ]
    arms: dict[ModelSpec, Arm] = {}
    for arm in (*request.arms, *tuned):
        code = sweep.code_of(sweep.family_of(arm))
        if code.has_build and not code.is_ours:
            weight_files = kept_weights.weight_files(arm.stated, results)
            arms.setdefault(model_spec(sweep, without_optimizer(arm), data, weight_files), arm)
    return arms


def _name(request: "Request", spec: "ModelSpec") -> str:
    """Stands for a network, its source code and the versions of its packages."""
    versions = [metadata.version(package) for package in ("keras", "tensorflow")]
    content = f"{request.sweep.source_of(spec.family.name)} {versions} {spec}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]
