"""A study as Markdown, for the appendix of a paper: GitHub and pandoc read it. Every recorded text is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

import polars as pl

from layersweep.escaping import to_markdown
from layersweep.formatting import capitalized
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.screening_risk import screening_risk
from layersweep.studies.wording import provenance
from layersweep.studies.wording.answer_sentences import answer, method, metric_name, test_sentence
from layersweep.studies.wording.arm_columns import ArmColumn, arm_columns
from layersweep.studies.wording.recorded_commands import one_line
from layersweep.studies.wording.rules import rules
from layersweep.studies.wording.tuning_sentences import sentences

_COMMAND: Final = "Command"


def appendix(
    comparison: Comparison,
    *,
    question: str,
    runs: pl.DataFrame,
    pictures: Sequence[str] = (),
    section_answers: Iterable[str] = (),
) -> str:
    """The text of the file.

    Args:
        comparison: the comparison.
        question: the question of the sweep.
        runs: the rows of `runs` that trained the arms.
        pictures: the names of the picture files beside it.
        section_answers: what the other sections of the study say.
    """
    columns = arm_columns(comparison)
    arm, *others = columns
    notes = [*comparison.cautions, *comparison.warnings, *provenance.warnings(runs)]
    facts = provenance.facts(comparison, runs)
    caption = (
        f"{capitalized(metric_name(comparison))}: fitted mean ± standard deviation (number of seeds). Intervals of "
        "differences hold for all pairs of arms at once. The test set was read only for the leading arms."
    )
    texts = [test_sentence(comparison), screening_risk(comparison).sentence, *sentences(comparison), *section_answers]
    parts = [
        f"# {to_markdown(question)}",
        f"**{to_markdown(answer(comparison))}**",
        "\n".join(f"- {to_markdown(note)}" for note in notes),
        "## Arms at equal epochs",
        _table(comparison, [arm, *(column for column in others if column.group != "cost")]),
        f"*{to_markdown(caption)}*",
        *map(to_markdown, texts),
        *(f"![{to_markdown(question)}]({quote(name)})" for name in pictures),
        "## Cost",
        _table(comparison, [arm, *(column for column in others if column.group == "cost")]),
        "*The sum over all trials of an arm, including stopped and failed ones; seconds are slot time.*",
        "## Method",
        to_markdown(method(comparison)),
        to_markdown(rules(comparison)),
        "## Provenance",
        _facts({name: text for name, text in facts.items() if name != _COMMAND}),
        _commands(runs),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(comparison: Comparison, columns: Sequence[ArmColumn]) -> str:
    """A pipe table with a row for each arm."""
    alignments = [":---" if column.is_text else "---:" for column in columns]
    rows = [[to_markdown(column.text(row)) for column in columns] for row in comparison.arms.to_dicts()]
    lines = [[to_markdown(column.heading) for column in columns], alignments, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _facts(facts: Mapping[str, str]) -> str:
    """A list of what is recorded."""
    return "\n".join(f"- **{to_markdown(name)}**: {to_markdown(text)}" for name, text in facts.items() if text)


def _commands(runs: pl.DataFrame) -> str:
    """The commands, as a block of code that is longer than any run of backticks in them."""
    commands = [one_line(str(command)) for command in runs["command"].drop_nulls().unique(maintain_order=True)]
    if not commands:
        return ""
    text = "\n".join(commands)
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}sh\n{text}\n{fence}"
