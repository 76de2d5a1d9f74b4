"""What a question shows besides the comparison of its arms: in the terminal, on the page, in files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, kw_only=True)
class Extra:
    """One more part of a study.

    Attributes:
        printed: what the terminal shows, in order.
        sections: HTML that the page shows before its costs.
        files: figures to write, by what their names add to the sweep's: `costs.png` is `<sweep>_costs.png`.
        answer: what it adds to the answer, for whoever reads no more; empty if it only explains.
    """

    printed: "tuple[RenderableType, ...]" = ()
    sections: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    answer: str = ""
