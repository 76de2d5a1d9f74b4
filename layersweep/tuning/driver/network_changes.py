"""Whether the networks are still those that were recorded: an answer is about what is there now.

A trial's id covers its configuration, not the code that builds its network. So before recorded results are used, the
source code is compared with that of the recorded trials. Where it differs, or is not recorded, a child process builds
the networks, and their fingerprints are compared. A changed network is part of the ids of its trials from then on; the
recorded rows of the former network stay as they are, and are found again if the code goes back.
"""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from layersweep.formatting import count, first_names
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.trials import Trial, network_key, visible_data
from layersweep.tuning.storage.recorded_networks import RecordedNetwork, RecordedNetworks
from trainables.data.dataset import Data
from trainables.families.by_name import FROM_OTHERS, FROM_SEARCH
from trainables.source_code import family_file, source_fingerprint

_STRUCTURE: Final = 16
"""The digits of a fingerprint that stand for layers, shapes and parameters; the others for their configuration."""
_WEIGHTS: Final = "weights"


@dataclass(frozen=True, kw_only=True)
class NetworkChanges:
    """What the check found.

    Attributes:
        fingerprints: the fingerprint of each network that has changed, by its key (`network_key`).
        lines: what to tell the user.
    """

    fingerprints: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


def network_changes(
    request: Request, data: Data, trials: Sequence[Trial], recorded: RecordedNetworks, say: Callable[[str], None]
) -> NetworkChanges:
    """Compares the networks of trials that have recorded results with the networks as they are now.

    Families whose networks a search finds, and networks that begin with pretrained or kept weights, are not checked:
    what they are depends on more than their code.

    Args:
        request: what the command asks for.
        data: its data.
        trials: the trials that it would run, with the ids that they have if no network has changed.
        recorded: the recorded networks.
        say: tells the user that networks are being built.
    """
    doubtful: dict[str, tuple[Arm, RecordedNetwork]] = {}
    for trial in trials:
        family = request.sweep.family_of(trial.arm)
        network, source = recorded.of_trial(trial.trial_id), source_fingerprint(family)
        is_checked = family not in (*FROM_OTHERS, *FROM_SEARCH) and not trial.arm.stated.get(_WEIGHTS)
        if is_checked and source is not None and network is not None and network.source != source:
            doubtful[network_key(family, trial.arm.stated)] = (trial.arm, network)
    if not doubtful:
        return NetworkChanges()
    present = _present_networks(request, data, {key: arm for key, (arm, _) in doubtful.items()}, say)
    version = recorded.keras_version()
    changed = {
        key: _difference(network, present[key], version)
        for key, (_, network) in doubtful.items()
        if key in present and _difference(network, present[key], version)
    }
    return NetworkChanges(
        fingerprints={key: present[key].fingerprint or "" for key in changed},
        lines=(*_change_lines(changed, doubtful), *_source_lines(request, changed, doubtful)),
    )


def _difference(before: RecordedNetwork, now: RecordedNetwork, keras_version: str) -> str:
    """What differs between the recorded network and the present one; "" if nothing does."""
    if now.fingerprint is None:
        return ""
    structure = before.structure
    if structure is not None and structure != now.fingerprint[:_STRUCTURE]:
        return f"{_size(before)} before, {_size(now)} now"
    if structure is None and before.parameters not in (None, now.parameters):
        return f"{before.parameters:,} parameters before, {now.parameters:,} now"
    is_same_version = before.keras_version == keras_version
    if before.fingerprint is not None and is_same_version and before.fingerprint != now.fingerprint:
        return "other settings of its layers"
    return ""


def _size(network: RecordedNetwork) -> str:
    layers = "" if network.layers is None else f"{count(network.layers, 'layer')}, "
    parameters = "" if network.parameters is None else f"{network.parameters:,} parameters"
    return (layers + parameters).removesuffix(", ")


def _change_lines(changed: Mapping[str, str], doubtful: Mapping[str, tuple[Arm, RecordedNetwork]]) -> list[str]:
    """One line for each kind of difference, with the arms that have it."""
    names: dict[str, list[str]] = {}
    for key, difference in changed.items():
        names.setdefault(difference, []).append(doubtful[key][0].name)
    return [
        f"the network of {first_names(arms)} has changed since it was recorded ({difference}): it is trained anew"
        for difference, arms in names.items()
    ]


def _source_lines(
    request: Request, changed: Mapping[str, str], doubtful: Mapping[str, tuple[Arm, RecordedNetwork]]
) -> list[str]:
    """A line for each family whose own file has changed, although its networks have not."""
    families = {
        request.sweep.family_of(arm)
        for key, (arm, network) in doubtful.items()
        if key not in changed and network.source is not None
        and network.source[:_STRUCTURE] != (source_fingerprint(request.sweep.family_of(arm)) or "")[:_STRUCTURE]
    }  # fmt: skip
    files = sorted(str(family_file(family)) for family in families)
    return [
        f"note: {Path(file).name} has changed since results were recorded; the networks are equal, so they are used"
        for file in files
    ]


def _present_networks(
    request: Request, data: Data, arms: Mapping[str, Arm], say: Callable[[str], None]
) -> dict[str, RecordedNetwork]:
    """The networks as they are now, by key; built at most once for each state of the source code."""
    from trainables.worker.model_check import ModelSpec, summaries

    cache_file = request.settings.results / ".state" / "networks.json"
    cache = _read_cache(cache_file)
    specs = {
        key: ModelSpec(
            family=request.sweep.family_of(arm),
            config_json=json.dumps(arm.stated, sort_keys=True),
            image_shape=data.image_shape,
            classes=len(visible_data(arm, data).classes),
        )
        for key, arm in arms.items()
    }
    names = {key: f"{source_fingerprint(spec.family)} {spec}" for key, spec in specs.items()}
    missing = [key for key in specs if names[key] not in cache]
    if missing:
        say(f"the code has changed since results were recorded: building {count(len(missing), 'network')} to compare")
        for key, summary in zip(missing, summaries([specs[key] for key in missing]), strict=True):
            cache[names[key]] = summary
        if not request.settings.dry_run:
            _write_cache(cache_file, {name: cache[name] for name in names.values()})
    return {key: RecordedNetwork(**summary) for key, name in names.items() if (summary := cache[name]) is not None}


def _read_cache(file: Path) -> dict[str, dict[str, Any] | None]:
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        content = json.loads(file.read_text())
        return content if isinstance(content, dict) else {}
    return {}


def _write_cache(file: Path, cache: Mapping[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(cache))
    temporary.replace(file)
