"""Which optimizer trains the Fashion-MNIST CNN best? Reads the sweep `optimizers`, whose trials may be years old.

    python -m studies.optimizers [--results results] [--sweep optimizers] [--out results/studies]

Prints one row an arm at equal epochs, and writes `optimizers.html` and `optimizers.png`. Takes seconds.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from studies import comparison

if TYPE_CHECKING:
    from rich.console import Console

QUESTION: Final = "Which optimizer trains the Fashion-MNIST CNN best?"

prepare = comparison.prepare


def study(
    results: Path, sweep: str = "optimizers", *, out: Path | None = None, console: "Console | None" = None
) -> None:
    """Prints the table and the answer; writes `<sweep>.html` and `<sweep>.png` into `out` (`<results>/studies`).

    Raises:
        ResultsError: if there are no results of that sweep; names the path and the sweeps that there are.
    """
    comparison.study(results, sweep, question=QUESTION, out=out, console=console)


def main() -> int:
    """The command; returns the exit code: 2 if there is nothing to read."""
    return comparison.main("optimizers", study, __doc__)


if __name__ == "__main__":
    sys.exit(main())
