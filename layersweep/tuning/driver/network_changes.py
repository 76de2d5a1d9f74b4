"""Whether the networks are still those that were recorded: an answer is about what is there now.

A trial's id covers its configuration, not the code that builds its network. So before recorded results are used, the
source code is compared with that of the recorded trials. Where it differs, or is not recorded, a child process builds
the networks, and their fingerprints are compared. A changed network is part of the ids of its trials from then on; the
recorded rows of the former network stay as they are, and are found again if the code goes back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from layersweep.formatting import count, first_names
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_checks import model_spec
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import Trial, network_key
from layersweep.tuning.storage.network_cache import read_cache, write_cache
from layersweep.tuning.storage.recorded_networks import RecordedNetwork, RecordedNetworks
from trainables.data.dataset import Data
from trainables.errors import WeightsError
from trainables.families.by_name import FROM_OTHERS, FROM_SEARCH

_STRUCTURE: Final = 16
"""The digits of a fingerprint that stand for layers, shapes and parameters; the others for their configuration."""
_WEIGHTS: Final = "weights"


@dataclass(frozen=True, kw_only=True)
class NetworkChanges:
    """What the check found.

    Attributes:
        revisions: the revision of each network that is not the one recorded first, by its key (`network_key`).
        lines: what to tell the user.
    """

    revisions: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Doubt:
    """A network that may have changed: an arm that has it, and what is recorded of it, latest last."""

    arm: Arm
    family: str
    recorded: Sequence[RecordedNetwork]


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
    lines = []
    if others := recorded.trials_on_other_data(data.name, data.fingerprint):
        lines.append(_other_data(data, others))
    revisions, doubts = _known_and_doubtful(request, data, trials, recorded)
    if not doubts:
        return NetworkChanges(revisions=revisions, lines=tuple(lines))
    version = recorded.keras_version()
    present = _present_networks(request, data, doubts, version, say)
    changed: dict[str, str] = {}
    unchanged = []
    for key, network in present.items():
        doubt = doubts[key]
        match = next((each for each in reversed(doubt.recorded) if not _difference(each, network, version)), None)
        revision = network.fingerprint if match is None else match.revision
        if revision is not None:
            revisions[key] = revision
        if match is None:
            changed[key] = _difference(doubt.recorded[-1], network, version)
        else:
            unchanged.append(doubt)
    lines += [*_change_lines(changed, doubts), *_source_lines(request.sweep, unchanged)]
    return NetworkChanges(revisions=revisions, lines=tuple(lines))


def _other_data(data: Data, trials: int) -> str:
    """The line about recorded trials on data of the same name with another fingerprint."""
    if data.native is None:
        return f"the files of {data.name} have changed since {count(trials, 'trial')} were recorded: new trials"
    return (
        f"{count(trials, 'recorded trial')} of {data.name} are of other pictures, or of an earlier version, whose ids "
        "were made of decoded images and not of the pictures' files: they are kept apart"
    )


def _known_and_doubtful(
    request: Request, data: Data, trials: Sequence[Trial], recorded: RecordedNetworks
) -> tuple[dict[str, str], dict[str, _Doubt]]:
    """The revisions of networks that the present code is known to have built, and the networks that must be built."""
    revisions: dict[str, str] = {}
    doubts: dict[str, _Doubt] = {}
    for trial in [each for one in trials for each in (one, one.parent) if each is not None]:
        family = request.sweep.family_of(trial.arm)
        key, source = network_key(family, trial.arm.stated), request.sweep.source_of(family)
        if source is None or key in doubts or trial.arm.stated.get(_WEIGHTS) or _depends_on_more(request.sweep, family):
            continue
        if built := recorded.revisions_built_by(source, key, data.fingerprint):
            if built[-1] is not None:
                revisions[key] = built[-1]
            continue
        interrupted = recorded.interrupted(trial.trial_id)
        networks = [*([interrupted] if interrupted else []), *recorded.of_key(key, data.fingerprint)]
        if networks:
            doubts[key] = _Doubt(arm=trial.arm, family=family, recorded=networks)
    return revisions, doubts


def _depends_on_more(sweep: Sweep, family: str) -> bool:
    """Whether the networks of a family depend on more than its code; a user's own may have the same name."""
    return family in (*FROM_OTHERS, *FROM_SEARCH) and sweep.code_of(family).is_ours


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


def _change_lines(changed: Mapping[str, str], doubts: Mapping[str, _Doubt]) -> list[str]:
    """One line for each kind of difference, with the arms that have it."""
    names: dict[str, list[str]] = {}
    for key, difference in changed.items():
        names.setdefault(difference, []).append(doubts[key].arm.name)
    return [
        f"the network of {first_names(arms)} has changed since it was recorded ({difference}): it is trained anew"
        for difference, arms in names.items()
    ]


def _source_lines(sweep: Sweep, unchanged: Sequence[_Doubt]) -> list[str]:
    """A line for each family whose own file has changed, although its networks have not."""
    families = {
        doubt.family
        for doubt in unchanged
        if (source := doubt.recorded[-1].source) is not None
        and source[:_STRUCTURE] != (sweep.source_of(doubt.family) or "")[:_STRUCTURE]
    }
    return [
        f"note: {file} has changed since results were recorded; the networks are equal, so they are used"
        for file in sorted(Path(sweep.code_of(family).file or "the code of a cell").name for family in families)
    ]


def _present_networks(
    request: Request, data: Data, doubts: Mapping[str, _Doubt], keras_version: str, say: Callable[[str], None]
) -> dict[str, RecordedNetwork]:
    """The networks as they are now, by key; built at most once for each state of the source code and of Keras.

    Raises:
        UsageError: if a network cannot be built for another reason than its weights or its configuration.
    """
    from trainables.worker.model_check import summaries

    cache_file = request.settings.results / ".state" / "networks.json"
    cache = read_cache(cache_file)
    specs = {key: model_spec(request.sweep, doubt.arm, data) for key, doubt in doubts.items()}
    names = {key: f"{request.sweep.source_of(spec.family.name)} {keras_version} {spec}" for key, spec in specs.items()}
    missing = [key for key in specs if names[key] not in cache]
    if missing:
        is_recorded = all(doubts[key].recorded[-1].source for key in missing)
        reason = "the code has changed since results were recorded" if is_recorded else "results may be of other code"
        say(f"{reason}: building {count(len(missing), 'network')} to compare")
        try:
            built = summaries([specs[key] for key in missing])
        except WeightsError as error:
            raise UsageError(f"the recorded networks could not be compared with the present ones: {error}") from error
        cache |= dict(zip((names[key] for key in missing), built, strict=True))
        if not request.settings.dry_run:
            write_cache(cache_file, cache)
    return {key: RecordedNetwork(**summary) for key, name in names.items() if (summary := cache[name]) is not None}
