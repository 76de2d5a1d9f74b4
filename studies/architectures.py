"""Which architecture does best at an equal budget, and at what cost? Reads the sweep `architectures`.

    python -m studies.architectures [--results results] [--sweep architectures] [--out results/studies]

Prints one row an arm at equal epochs, then what each costs (parameters, FLOPs, latency, seconds an epoch) and which are
on the Pareto front of accuracy against FLOPs; writes `architectures.html`, `.png` and `_costs.png`.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from studies import comparison

if TYPE_CHECKING:
    from rich.console import Console

QUESTION: Final = "Which architecture does best at an equal budget, and at what cost?"

prepare = comparison.prepare


def study(
    results: Path, sweep: str = "architectures", *, out: Path | None = None, console: "Console | None" = None
) -> None:
    """Prints the tables and the answer; writes `<sweep>.html`, `.png` and `_costs.png` into `out`.

    Raises:
        ResultsError: if there are no results of that sweep; names the path and the sweeps that there are.
    """
    from studies import costs

    comparison.study(results, sweep, question=QUESTION, out=out, console=console, more=costs.shown(sweep))


def main() -> int:
    """The command; returns the exit code: 2 if there is nothing to read."""
    return comparison.main("architectures", study, __doc__)


if __name__ == "__main__":
    sys.exit(main())
