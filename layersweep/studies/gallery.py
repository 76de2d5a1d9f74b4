"""One page with the answers of all recorded sweeps: figure, answer, command and scale of each.

    layersweep gallery [SWEEP ...] [--results results] [--out results/studies/gallery.md]

Writes a Markdown file, and the figures into a folder with the same name.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import tyro

from layersweep.escaping import terminal, to_markdown, visible
from layersweep.exit_codes import OK
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

The answer of each study to its question, with command and scale. Written by `layersweep gallery`.
"""


def main(arguments: Sequence[str]) -> int:
    """`layersweep gallery`; returns the exit code.

    Raises:
        ResultsError: if a sweep is not recorded, or none is.
    """
    options = tyro.cli(Options, args=list(arguments), prog="layersweep gallery", description=__doc__)
    out = options.out or options.results / "studies" / "gallery.md"
    for path in write(options.results, out, options.sweeps):
        sys.stdout.write(terminal(f"gallery  {path}\n"))
    return OK


def write(results: Path, out: Path, sweeps: Sequence[str] = ()) -> Iterator[Path]:
    """Writes the figures, then the page; yields the path of each file.

    Args:
        results: the results folder.
        out: the page; the figures go into a folder beside it, `gallery/` for `gallery.md`.
        sweeps: the sweeps, in this order; all recorded sweeps if empty.

    Raises:
        ResultsError: if a sweep is not recorded, or none is.
    """
    from layersweep.records.overview import check_recorded, names
    from layersweep.studies.pages import comparison_page

    for sweep in sweeps:
        check_recorded(results, sweep)
    sweeps = sweeps or names(results)
    if not sweeps:
        raise ResultsError(f"no sweep is recorded in {results.absolute()}")
    sections = []
    for sweep in sweeps:
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
    """The figure of the answer: of a section that answers the question, or else of the comparison."""
    pictures = findings.pictures()
    preferred_names = [
        f"{findings.name}_{suffix}" for section in findings.sections if section.answer for suffix in section.files
    ]
    return next(((name, pictures[name]) for name in [*preferred_names, *pictures]), None)


def _section(findings: Findings, figure: str | None) -> str:
    from layersweep.studies.wording.answer_sentences import answer, test_sentence
    from layersweep.studies.wording.provenance import facts
    from layersweep.studies.wording.recorded_commands import one_line

    comparison = findings.comparison
    answers = [answer(comparison), *(section.answer for section in findings.sections)]
    texts = [*answers, test_sentence(comparison), *comparison.cautions, *comparison.warnings]
    all_facts = facts(comparison, findings.runs)
    commands = findings.runs["command"].drop_nulls().unique(maintain_order=True)
    lines = [f"## {to_markdown(findings.title)}", ""]
    if figure is not None:
        lines += [f"![{to_markdown(findings.title)}]({quote(figure)})", ""]
    first, *others = filter(None, texts)
    for text in (f"**{to_markdown(first)}**", *map(to_markdown, others)):
        lines += [text, ""]
    lines += [f"    {visible(one_line(command))}" for command in commands]
    lines += ["", *(f"- {name}: {to_markdown(all_facts[name])}" for name in FACTS if all_facts.get(name)), ""]
    return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Writes a page with the answers of all recorded sweeps."""

    sweeps: tyro.conf.Positional[tuple[str, ...]] = ()
    """The sweeps to show, in this order; all recorded sweeps by default."""
    results: Path = Path("results")
    """The results folder."""
    out: Path | None = None
    """The page to write; studies/gallery.md in the results folder by default."""
