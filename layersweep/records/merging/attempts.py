"""Which attempts of several results are the same training, and the numbers that the others get.

Two attempts are the same if the epochs and the ends of one are the first of the other: they are recorded once. Others
are kept apart. The last attempt of a trial is the one that counts, so it must be the one that would be there if one
machine had trained everything: that which got furthest, and of equal ones the one that ended first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

import numpy as np

Numbers: TypeAlias = dict[int, int]
"""The number of each attempt after the merge, by its number before."""

_RANKS: Final[Mapping[str, int]] = {"completed": 2, "stopped": 1, "diverged": 1, "hopeless": 1}


@dataclass(frozen=True, kw_only=True)
class End:
    """An end of an attempt; `reached` are its epochs."""

    outcome: str
    reached: int
    error_type: str | None = None
    at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt of a trial: a digest of the numbers of each of its epochs, and its ends in their order."""

    epochs: Mapping[int, int] = field(default_factory=dict)
    ends: tuple[End, ...] = ()

    def is_same(self, other: "Attempt") -> bool:
        """Whether both are the same training, of which one may have been recorded further."""
        return self._begins(other) or other._begins(self)

    def _begins(self, other: "Attempt") -> bool:
        """Whether the epochs and the ends of this one are the first of the other."""
        is_part = self.epochs.items() <= other.epochs.items() and self.ends == other.ends[: len(self.ends)]
        return is_part and bool(self.epochs or self.ends)

    def likeness(self, other: "Attempt") -> tuple[int, int, int]:
        """How much both have in common: of several attempts that are the same, the likest is meant."""
        ends = min(len(self.ends), len(other.ends))
        return len(self.epochs.keys() & other.epochs.keys()), ends, -abs(len(self.ends) - len(other.ends))

    def joined(self, other: "Attempt") -> "Attempt":
        """What both have of the same training."""
        return Attempt(epochs={**other.epochs, **self.epochs}, ends=max(self.ends, other.ends, key=len))

    @property
    def rank(self) -> tuple[int, int, float, tuple[int, ...]]:
        """Its place among the attempts of a trial: the last one counts."""
        reached = max(self.epochs, default=0)
        last = self.ends[-1] if self.ends else None
        at = math.inf if last is None or last.at is None else last.at.timestamp()
        outcome_rank = 0 if last is None or last.reached < reached else _RANKS.get(last.outcome, 0)
        return outcome_rank, reached, -at, tuple(digest for _, digest in sorted(self.epochs.items()))


@dataclass(kw_only=True)
class _Merged:
    """An attempt after the merge: its number if the target has it, and whether a later one has replaced it."""

    attempt: Attempt
    number: int | None = None
    is_replaced: bool = False

    @property
    def place(self) -> tuple[bool, tuple[int, int, float, tuple[int, ...]]]:
        return not self.is_replaced, self.attempt.rank


def numbers(
    target: Mapping[int, Attempt],
    sources: Sequence[Mapping[int, Attempt]],
    *,
    reserved: Sequence[Numbers] | None = None,
    highest_number: int = -1,
) -> list[Numbers]:
    """The numbers of the attempts of one trial, for each source.

    Attempts of the target keep their numbers. One that counts less than its last gets a number below its first.

    Args:
        target: the attempts that are there already, by number.
        sources: those that are added.
        reserved: for each source, the numbers that an interrupted merge has begun to write.
        highest_number: the highest number of which other tables of the target have rows.
    """
    attempts = [_Merged(attempt=attempt, number=number) for number, attempt in sorted(target.items())]
    replaced = [(merged, merged.attempt) for merged in attempts[:-1]]
    merged_attempts: list[dict[int, _Merged]] = []
    for source, numbers_before in zip(sources, reserved or [{} for _ in sources], strict=True):
        merged_attempts.append({})
        matches = _matches(source, attempts, numbers_before)
        for number, attempt in sorted(source.items(), reverse=True):
            before, match = numbers_before.get(number), matches.get(number)
            if match is None:
                is_free = before is not None and all(m.number != before for m in attempts)
                match = _Merged(attempt=attempt, number=before if is_free else None)
                attempts.append(match)
            if number != max(source):
                replaced.append((match, attempt))
            match.attempt = match.attempt.joined(attempt)
            merged_attempts[-1][number] = match
    for merged, attempt in replaced:  # unless another machine went on with it
        merged.is_replaced |= merged.attempt == attempt
    _number(attempts, max([*target], default=None), highest_number)
    return [{number: m.number or 0 for number, m in merged.items()} for merged in merged_attempts]


def _matches(source: Mapping[int, Attempt], attempts: Sequence[_Merged], numbers_before: Numbers) -> dict[int, _Merged]:
    """The attempt that each of a source's is the same as, by its number there; none has two.

    As many as possible have one, and together these have as much in common as possible: then a source that is there
    already is recognized whole, also where the first epochs of one attempt are those of several.
    """
    pairs = {
        (number, place): attempt.likeness(merged.attempt)
        for number, attempt in source.items()
        for place, merged in enumerate(attempts)
        if merged.attempt.is_same(attempt) and numbers_before.get(number) in (None, merged.number)
    }
    if not pairs:
        return {}
    from scipy.optimize import linear_sum_assignment

    order = sorted(source, reverse=True)
    unit = 1 + sum(len(a.epochs) + len(a.ends) for a in (*source.values(), *(m.attempt for m in attempts)))
    weights = np.zeros((len(order), len(attempts)))
    for (number, place), (epochs, ends, likeness) in pairs.items():
        weights[order.index(number), place] = ((unit + epochs) * unit + ends) * unit + likeness
    rows, places = (indices.tolist() for indices in linear_sum_assignment(weights, maximize=True))
    matches = zip((order[row] for row in rows), places, strict=True)
    return {number: attempts[place] for number, place in matches if (number, place) in pairs}


def _number(attempts: Sequence[_Merged], last: int | None, highest_number: int) -> None:
    """Numbers the attempts that have no number: behind the target's last one if they count more, else before all."""
    current = next((m for m in attempts if m.number == last and last is not None), None)
    new = sorted((m for m in attempts if m.number is None), key=lambda merged: merged.place)
    used = [m.number for m in attempts if m.number is not None]
    lowest, highest = min(used, default=0), max(highest_number, *used, -1)
    for merged in reversed([m for m in new if current is not None and m.place <= current.place]):
        lowest -= 1
        merged.number = lowest
    for merged in new:
        if merged.number is None:
            highest += 1
            merged.number = highest
