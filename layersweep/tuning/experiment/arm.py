"""What a study compares."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from trainables import config as domains


@dataclass(frozen=True, kw_only=True)
class PlainConfig:
    """A configuration on its way to a slot, which does not know its Config: values alone."""

    plain_values: dict[str, domains.Value]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What a study compares: a filled-in configuration under a short name, made of what varies.

    The family is the sweep's own, if empty. The note tells the candidates of a tuned arm apart, for a person.
    """

    name: str
    config: domains.Dataclass
    family: str = ""
    note: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """The configuration as a flat dict."""
        return dict(self.config.plain_values) if isinstance(self.config, PlainConfig) else asdict(self.config)

    @property
    def batch_size(self) -> int:
        """Images a step; every family's configuration has it."""
        return int(self.values["batch_size"])

    @property
    def stated(self) -> dict[str, Any]:
        """The configuration as a flat dict, without optional keys at their defaults: what its trials' ids hold."""
        return domains.stated(self.config)

    @property
    def plain(self) -> Self:
        """The same arm without its Config, for a process that cannot import that."""
        return replace(self, config=PlainConfig(plain_values=self.values))
