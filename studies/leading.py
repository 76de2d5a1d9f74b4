"""What another sweep found best, for a sweep that builds on it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from records.errors import ResultsError


def leading(sweep: str, keys: Sequence[str]) -> Callable[[Path], tuple[Mapping[str, Any], str]]:
    """A function of a results folder that gives the values of these keys in the arm that leads a sweep's comparison.

    With them it gives a sentence that says where they are from. Where the sweep is not recorded there, or none of its
    arms ran to the end, there are no values, and the sentence says how to get some.
    """

    def given(results: Path) -> tuple[Mapping[str, Any], str]:
        try:
            values, source = _led(results, sweep, keys)
        except ResultsError:
            values, source = {}, f"sweep {sweep!r} is not recorded below {results}"
        if values:
            return values, f"{', '.join(f'{key}={value}' for key, value in values.items())}: {source}"
        return {}, f"{source}: {', '.join(keys)} are the family's own; run it first, or give them with --set"

    return given


def _led(results: Path, sweep: str, keys: Sequence[str]) -> tuple[Mapping[str, Any], str]:
    from studies.comparison import load

    found, _ = load(results, sweep)
    if not found.compared:
        return {}, f"no arm of sweep {sweep!r} ran to its end"
    leader = found.compared[0]
    tied = len(found.chosen) - 1
    others = f", tied with {tied} other{'s' * (tied > 1)}" if tied else ""
    config = found.settings[leader["arm"]]
    values = {key: config[key] for key in keys if key in config}
    return values, f"those of {leader['arm']}, which leads in sweep {sweep!r} ({leader['verdict']}{others})"
