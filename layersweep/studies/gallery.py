"""Every question that is recorded on one page: its figure, its answer, its command and scale.

    layersweep gallery [SWEEP ...] [--results results] [--out results/studies/gallery.md]

Writes Markdown, and the figures into a folder of its name beside it.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from layersweep.records.errors import ResultsError
from layersweep.studies.study import Findings, findings_of

FACTS: Final = (
    "Data",
    "Images",
    "Epochs",
    "Seeds",
    "Folds",
    "Precision",
    "Time",
    "Devices",
    "Slots",
    "When",
    "Commit",
)
_TITLE: Final = """# Gallery

Each question as its study answers it from the records, with command and scale. Written by `layersweep gallery`.
"""
_SPECIAL: Final = re.compile(r"([\\`*\[\]<>|])")


def main(arguments: Sequence[str]) -> int:
    """The command; returns the exit code.

    Raises:
        ResultsError: if there is nothing to read.
    """
    options = tyro.cli(Options, args=list(arguments), prog="layersweep gallery", description=__doc__)
    out = options.out or options.results / "studies" / "gallery.md"
    for path in write(options.results, out, options.sweeps):
        sys.stdout.write(f"gallery  {path}\n")
    return 0


def write(results: Path, out: Path, sweeps: Sequence[str] = ()) -> Iterator[Path]:
    """Writes the page, its figures first; gives each file that is written.

    Args:
        results: the results folder.
        out: the page; its figures go into a folder beside it, `gallery/` for `gallery.md`.
        sweeps: the sweeps, in this order; all that are recorded unless given.

    Raises:
        ResultsError: if a sweep is not recorded, or none is.
    """
    from layersweep.records.overview import check_recorded, names
    from layersweep.studies.pages import comparison_page

    for sweep in sweeps:
        check_recorded(results, sweep)
    wanted = sweeps or names(results)
    if not wanted:
        raise ResultsError(f"no sweep is recorded below {results.absolute()}")
    sections = []
    for sweep in wanted:
        for findings in findings_of(results, sweep):
            figure = _figure(findings)
            if figure is not None:
                path = out.with_suffix("") / figure[0]
                comparison_page.write(path, figure[1])
                yield path
            sections.append(_section(findings, f"{out.stem}/{figure[0]}" if figure else None))
    comparison_page.write(out, "\n".join([_TITLE, *sections]))
    yield out


def _figure(findings: Findings) -> tuple[str, bytes] | None:
    """The figure that shows the answer: of a part that adds to it, else of the comparison."""
    pictures = findings.pictures()
    telling = [f"{findings.name}_{suffix}" for extra in findings.extras if extra.answer for suffix in extra.files]
    return next(((name, pictures[name]) for name in [*telling, *pictures]), None)


def _section(findings: Findings, figure: str | None) -> str:
    from layersweep.studies.wording.provenance import facts
    from layersweep.studies.wording.words import answer, on_the_test_set

    found = findings.found
    said = [answer(found), *(extra.answer for extra in findings.extras), on_the_test_set(found), *found.warnings]
    known = facts(found, findings.runs)
    commands = findings.runs["command"].drop_nulls().unique(maintain_order=True)
    lines = [f"## {_plain(findings.title)}", ""]
    if figure is not None:
        lines += [f"![{_plain(findings.title)}]({figure})", ""]
    first, *others = filter(None, said)
    for text in (f"**{_plain(first)}**", *map(_plain, others)):
        lines += [text, ""]
    lines += [f"    {' '.join(command.split())}" for command in commands]
    lines += ["", *(f"- {name}: {_plain(known[name])}" for name in FACTS if known.get(name)), ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Recorded text as Markdown that shows it, and does nothing else."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


@dataclass(frozen=True, kw_only=True)
class Options:
    """Reads the records, writes a page of all questions."""

    sweeps: tyro.conf.Positional[tuple[str, ...]] = ()
    """The sweeps that are shown, in this order; all that are recorded unless given."""
    results: Path = Path("results")
    """The results folder."""
    out: Path | None = None
    """The page; below the results, studies/gallery.md, unless given."""
