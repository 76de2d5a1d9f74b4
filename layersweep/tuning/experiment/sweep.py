"""What a sweep is: one question, the families and spaces that it trains, and its defaults."""

import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from layersweep.records.metrics import METRICS, valid_metrics
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.sections import registry
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_names import FAMILY, choices
from search_spaces.ranges import Range, Space
from trainables import config as domains
from trainables import hardware
from trainables.errors import ConfigError
from trainables.families import by_name
from trainables.families.family import config_of, name_of
from trainables.keys import Keys
from trainables.worker import warm_up
from trainables.worker.training_server import Values, WarmUp

if TYPE_CHECKING:
    from trainables.families.family_code import FamilyCode


@cache
def _columns() -> frozenset[str]:
    """The columns of trials and of their epochs, which a configuration's keys stand beside."""
    from layersweep.records.tables import TABLES

    return frozenset(TABLES["trials"].schema.names + TABLES["epochs"].schema.names)


Train = Callable[..., Values]
Search = Literal["grid", "random", "hyperopt", "oracle"]

KERAS: Final = WarmUp(imports=warm_up.imports, device=hardware.device)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One question: a family to train, the spaces whose arms are compared, and how much to spend by default.

    Args:
        name: the sweep's name; also that of its space, its study and its folders below the results.
        train: a family's name, such as `fashion_cnn`, or `ls.trains(build)`; the Config that `build` takes says which
            keys there are.
        spaces: what varies; each dict is a grid, and several dicts are a union of arms. Unless given, the one arm has
            the defaults. The key `family` names others
            of `trainables.families.by_name`, whose keys the space then has.
        metric: the column of the epochs table that decides, unless the command says otherwise.
        epochs: epochs of a trial that is not stopped.
        seeds: replicates of each arm.
        question: what is asked, in words; a sweep that has one ends with its study.
        sections: what the study shows besides the comparison of the arms (`layersweep.studies.sections.registry`);
            unless given, whatever the records have.
        reported: arms that others have called best, with their accuracies there.
        apart: keys whose values are not compared with each other, each with its default.
        control: the arm that is compared even if a screening stopped it.
        dataset: a data set that `trainables.data.dataset.prepare` knows.
        tuned: spaces that are searched, one arm each: keys with one value are fixed, keys with several values or a
            Range are searched. Unless given, a hypermodel's own hyperparameters are searched. With the key `oracle`,
            AutoKeras' oracles of these names search networks, one arm each.
        warm_up: what a training process does first: imports, and the name of its device.
        search: how tuned spaces are searched, unless the command says otherwise: `grid` ignores them, `oracle` is for
            spaces with that key.
        in_turn: whether each search trains its candidates one after another, to their end, in one slot.
        timed_searches: whether `--time-budget` is the time of each search (`search_clock`), not of the command.
        folds: the folds of a cross-validation; 0 for replicates by seed.
        values_from: reads values of keys from elsewhere, such as another sweep's records. It gets the results folder
            and the keys that the command sets itself, and returns values of others and a sentence about their source.
            What the sweep's own last command had stays, so that its arms remain comparable while the other goes on.
        after: the sweeps whose records or weights it reads, by name: `sweeps/all.py` runs them first.
        keep_weights: the epoch whose weights are kept of each trial: none, best or last.
        lite: whether LiteRT converts each compared network at the end.
        quick: the flags that `--quick` stands for.
        arms: the arms of the command line (`--arm`), which replace the spaces; `selected_arms` fills them in.
    """

    name: str
    train: Train | str
    spaces: Sequence[Space] = ({},)
    question: str = ""
    sections: Sequence[str] | None = None
    reported: Mapping[str, float] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)
    metric: str = "val_accuracy"
    epochs: int = 10
    seeds: int = 3
    control: str | None = None
    dataset: str = "fashion_mnist"
    tuned: Sequence[Space] = ()
    search: Search = "grid"
    in_turn: bool = False
    timed_searches: bool = False
    folds: int = 0
    values_from: Callable[[Path, Collection[str]], tuple[Mapping[str, domains.Value], str]] | None = None
    warm_up: WarmUp = KERAS
    after: Sequence[str] = ()
    keep_weights: str = "none"
    lite: bool = False
    quick: Mapping[str, Any] | None = None
    arms: Sequence[Mapping[str, domains.Value | Range]] = ()

    def check_sections(self) -> None:
        """Refuses sections that there are not.

        Raises:
            UsageError: naming them, and the valid ones.
        """
        if unknown := [name for name in self.sections or () if name not in registry.SECTIONS]:
            raise UsageError(
                f"sections {', '.join(map(repr, unknown))} of the sweep {self.name!r} are not valid; "
                f"valid: {', '.join(registry.SECTIONS)}"
            )

    def check_spaces(self) -> None:
        """Refuses a space that stands alone: `spaces` is a list of them.

        Raises:
            UsageError: showing the right form.
        """
        for name in ("spaces", "tuned"):
            if isinstance(getattr(self, name), Mapping):
                raise UsageError(
                    f"{name} of the sweep {self.name!r} is one dict; valid: a list of dicts: {name}=[{{...}}]"
                )

    def check_metric(self) -> None:
        """Refuses a metric that there is not.

        Raises:
            UsageError: naming it, and the valid ones.
        """
        if self.metric not in METRICS:
            raise UsageError(
                f"metric {self.metric!r} of the sweep {self.name!r} is not valid; valid: {valid_metrics()}"
            )

    @property
    def study_question(self) -> StudyQuestion:
        """What its study needs to know, as the runs record it."""
        return StudyQuestion(
            text=self.question,
            sections=self.sections,
            reported=self.reported,
            apart=self.apart,
            metric=self.metric,
        )

    @property
    def with_family_spaces(self) -> "Sweep":
        """The sweep; if it has no tuned spaces, with those of the hypermodel that it trains.

        Raises:
            UsageError: if that is no hypermodel which can be trained.
        """
        try:
            searched: Mapping[str, domains.OneOf | domains.Between] = getattr(self.train, "searched", {})
        except ConfigError as error:
            raise UsageError(f"the sweep {self.name!r}: {error}") from error
        space = {
            key: each.values
            if isinstance(each, domains.OneOf)
            else Range(each.low, each.high, each.scale == "log", each.step)
            for key, each in searched.items()
        }
        return replace(self, tuned=(space,)) if space and not self.tuned else self

    @property
    def config_type(self) -> type[domains.Dataclass]:
        """The Config dataclass that `train` takes.

        Raises:
            UsageError: if there is no such family, or its `build` does not say its Config.
        """
        try:
            config_type = config_of(self.train_of(self.family))
        except ConfigError as error:
            raise UsageError(f"the sweep {self.name!r}: {error}") from error
        if keys := {field.name for field in fields(config_type)} & _columns() - {field.name for field in fields(Keys)}:
            raise UsageError(
                f"the sweep {self.name!r}: its Config has the key {min(keys)!r}, which is a column of the records; "
                f"valid: another name, such as {min(keys)}_of_mine"
            )
        return config_type

    @property
    def family(self) -> str:
        """The name of the model family; a family that the script itself holds has the sweep's name."""
        return self.train if isinstance(self.train, str) else name_of(self.train) or self.name

    @property
    def config_types(self) -> dict[str, type[domains.Dataclass]]:
        """The Config of the sweep's own family and of each family in its spaces and arms, by the family's name.

        Raises:
            UsageError: for an unknown family.
        """
        families = [name for space in self.spaces for name in choices(FAMILY, space.get(FAMILY, []))]
        families += [str(arm[FAMILY]) for arm in self.arms if FAMILY in arm]
        return {self.family: self.config_type} | {str(name): self.config_of(name) for name in families}

    def config_of(self, family: domains.Value) -> type[domains.Dataclass]:
        """The Config of a family.

        Raises:
            UsageError: if there is no such family.
        """
        if family == self.family:
            return self.config_type
        try:
            return typing.cast("type[domains.Dataclass]", by_name.family(str(family)).Config)
        except ConfigError as error:
            raise UsageError(f"the space of sweep {self.name!r}: {error}") from error

    def family_of(self, arm: "Arm") -> str:
        """The name of an arm's family."""
        return arm.family or self.family

    def train_of(self, family: str) -> Train:
        """A family's `train`."""
        is_own = family == self.family and not isinstance(self.train, str)
        return typing.cast("Train", self.train if is_own else by_name.family(family).train)

    def code_of(self, family: str) -> "FamilyCode":
        """A family's code, to be sent to other processes; sealed once.

        Raises:
            UsageError: if something of it cannot be sent.
        """
        from trainables.families.family_code import FamilyCode

        if family not in self._codes:
            try:
                self._codes[family] = FamilyCode.of(self.train_of(family), family)
            except ConfigError as error:
                raise UsageError(f"the sweep {self.name!r}: {error}") from error
        return self._codes[family]

    @cached_property
    def _codes(self) -> "dict[str, FamilyCode]":
        return {}

    def source_of(self, family: str) -> str | None:
        """The fingerprint of a family's source code, of when it was first asked for; None if it is unknown."""
        from trainables.source_code import source_fingerprint

        if family not in self._sources:
            self._sources[family] = source_fingerprint(self.code_of(family))
        return self._sources[family]

    @cached_property
    def _sources(self) -> dict[str, str | None]:
        return {}

    @property
    def key_types(self) -> dict[str, type]:
        """Each key of every family with the type of its values."""
        return {key: kind for config in self.config_types.values() for key, kind in domains.types(config).items()}

    @property
    def key_texts(self) -> dict[str, str]:
        """Each key of every family with what it means, in words."""
        return {key: text for config in self.config_types.values() for key, text in domains.texts(config).items()}

    @property
    def mode(self) -> str:
        """Whether the metric is better when larger (max) or smaller (min)."""
        return METRICS[self.metric].mode
