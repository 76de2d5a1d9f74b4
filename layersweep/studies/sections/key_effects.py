"""What each layer's choice does to accuracy, where arms are a grid: a table, a heat map, the answer in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.style import INK, heat_map, label_inches
from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.effects import Effects, Tested, effects
from layersweep.studies.statistics.pooled_variance import ALPHA
from layersweep.studies.wording.equal_trainings import Even, counted, even, grid_keys, values_of
from layersweep.studies.wording.words import listed, share, signed
from layersweep.words import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_STRONGEST: Final = 3
_POWER: Final = 0.8
_LONG: Final = 9
_MANY: Final = 6
_PALE: Final = 2.2
"""How far the colours go beyond the greatest effect: black text is read on all of them."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The trainings of a grid, all seen at one epoch.

    Attributes:
        even: the trainings.
        values: the value of each key in each of them.
        lost: for each key the values of trainings that came to a bad end, with their numbers; empty where none did.
        effects: what was made of them; None where they do not tell the keys apart.
    """

    even: Even
    values: Mapping[str, Sequence[str]]
    lost: Mapping[str, str]
    effects: Effects | None

    @property
    def arms(self) -> list[str]:
        """The arm of each training."""
        return self.even.rows["arm"].to_list()

    @property
    def accuracies(self) -> list[float]:
        """The validation accuracy of each."""
        return self.even.rows["at"].to_list()


def grid(found: Comparison) -> Grid:
    """The trainings of a sweep by the keys in which they differ."""
    seen = even(found)
    keys = grid_keys(pl.concat([seen.rows.drop("at"), seen.lost]))
    values = {key: values_of(seen.rows, key) for key in keys}
    return Grid(
        even=seen,
        values=values,
        lost={key: counted(values_of(seen.lost, key)) for key in keys} if seen.lost.height else {},
        effects=effects(values, seen.rows.select("seed", "fold").rows(), seen.rows["at"].to_list()),
    )


def shown(found: Comparison, _results: Path, reported: Mapping[str, float] | None = None) -> Extra:
    """What each key of the arms does, as a section of a study.

    Args:
        found: the comparison of the arms.
        reported: arms that were called best elsewhere, with their accuracies there; the study says where they stand.
    """
    seen = grid(found)
    said = [*sentences(seen), *([standing(found, seen, reported)] if reported else [])]
    title, answer = "What each choice adds", " ".join(said)
    if seen.effects is None:
        return section(title, said, answer=answer)
    caption = (
        f"What each choice adds to the mean of its key's, in validation accuracy, {seen.even.where}; ± is "
        "half a 95 % interval. Right: what the strongest pairs do together beyond what each choice does alone."
    )
    drawing = Drawing(draw=draw, found=seen.effects, height=_height(seen.effects), title=title)
    figure = "effects", drawing, caption
    return section(title, said, tables=[_table(seen.effects)], figure=figure, answer=answer)


def sentences(seen: Grid) -> list[str]:
    """What the effects say, in words."""
    found, where = seen.effects, seen.even.where
    if found is None:
        none = f"The {count(len(seen.arms), 'training')} {where} do not tell the choices apart."
        return [text for text in (_lost(seen), none) if text]
    far = [f"{seen.arms[i]} ({share(seen.accuracies[i])})" for i in found.outliers]
    noise = f"what the model leaves is ±{share(found.deviation)} ({found.df} degrees of freedom)"
    matter = sorted((test for test in found.main if test.p < ALPHA), key=lambda test: -test.share)
    silent = [test.term[0] for test in found.main if test.p >= ALPHA]
    said = (
        _lost(seen),
        f"Left out, since no other training comes near: {listed(far)}." if far else "",
        f"{count(found.n, 'training')} {where}: {noise}.",
        " ".join(f"{t.term[0]} matters (p = {t.p:.1g}): {_choices(found, t.term[0])}." for t in matter),
        f"No effect was found of {listed(silent)}." if silent else "",
        _together(found),
        "" if seen.lost else _best(found, where),
    )
    return [text for text in said if text]


def _lost(seen: Grid) -> str:
    """Which values the trainings had that are not counted; a value that loses some is not as good as those it keeps."""
    if not seen.lost:
        return ""
    number = seen.even.lost.height
    values = "; ".join(f"{key} {counts}" for key, counts in seen.lost.items())
    return f"{count(number, 'training')} came to a bad end and {'is' if number == 1 else 'are'} left out: {values}."


def _together(found: Effects) -> str:
    """Which pairs of keys act together."""
    pairs = [test for test in found.pairs if test.p < ALPHA]
    if pairs:
        return " ".join(_of_pair(found, test) for test in pairs[:_STRONGEST])
    if found.pairs:
        return "No two keys were found to act together."
    return "The trainings do not suffice to see whether keys act together." if len(found.levels) > 1 else ""


def _best(found: Effects, where: str) -> str:
    if not found.best:
        return ""
    best = ", ".join(f"{key} {' or '.join(values)}" for key, values in found.best.items())
    alone = " by themselves" if any(test.p < ALPHA for test in found.pairs) else ""
    return f"The best choices{alone}, {where}: {best}."


def _choices(found: Effects, key: str) -> str:
    """`selu +.0040 ± .0010, relu -.0040 ± .0010`."""
    levels = found.levels[key]
    return ", ".join(f"{level.value} {signed(level.effect)} ± {share(level.half_width)}" for level in levels)


def _of_pair(found: Effects, test: Tested) -> str:
    cells = found.cells[test.term]
    (first, second), effect = max(cells.items(), key=lambda cell: abs(cell[1]))
    a, b = test.term
    return (
        f"{a} and {b} act together (p = {test.p:.1g}), most with {first} and {second}: {signed(effect)} beyond what "
        "each does alone."
    )


def standing(found: Comparison, seen: Grid, reported: Mapping[str, float]) -> str:
    """Where arms stand here that were called best elsewhere, and whether such differences can be told from chance."""
    parts = []
    once = len(set(seen.arms)) == len(seen.arms)
    order = sorted(range(len(seen.arms)), key=lambda i: -seen.accuracies[i])
    ranks = {seen.arms[i]: rank for rank, i in enumerate(order, 1)} if once else {}
    rows = {row["arm"]: row for row in found.arms.to_dicts()}
    for arm, elsewhere in reported.items():
        if arm not in rows:
            parts.append(f"{arm} (reported {share(elsewhere)}) is not among the arms.")
            continue
        row = rows[arm]
        mean = f", mean {share(row['mean'])} (n = {row['n']})" if row["mean"] is not None else ""
        rank = f"number {ranks[arm]} of {len(ranks)} {seen.even.where}; " if arm in ranks else ""
        parts.append(f"{arm} (reported {share(elsewhere)}): {rank}{row['verdict']}{mean}.")
    pool = found.fit.pool if found.fit else None
    if pool is not None and pool.deviation:
        parts.append(chance(pool.deviation))
    return " ".join(parts)


def chance(deviation: float, difference: float = 0.0001) -> str:
    """What chance does to two trainings that scatter so much, and the seeds that showing a small difference takes."""
    from scipy.special import ndtri

    z = float(ndtri(1 - ALPHA / 2))
    seeds = math.ceil(2 * ((z + float(ndtri(_POWER))) * deviation / difference) ** 2)
    by_chance = share(z * math.sqrt(2) * deviation)
    return (
        f"One training scatters by ±{share(deviation)}: two of them differ by up to {by_chance} by chance (95 %); "
        f"to show a difference of {share(difference)} takes some {_round(seeds):,} seeds an arm."
    )


def _round(number: int) -> int:
    """Two leading digits."""
    scale = int(10 ** max(0, len(str(number)) - 2))
    return round(number / scale) * scale


def _table(found: Effects) -> Table:
    mains = [(_choices(found, test.term[0]), test) for test in found.main]
    pairs = [("", test) for test in found.pairs[:_STRONGEST]]
    return Table(
        head=("key", "each choice less the mean of its key's", "share", "p (Holm)"),
        rows=[[" x ".join(t.term), choices, f"{t.share:.1%}", f"{t.p:.1g}"] for choices, t in (*mains, *pairs)],
        left=2,
        caption="Validation accuracy, ± half a 95 % interval. Share: of the trainings' sum of squares. p: F-test, "
        "Holm-corrected over all keys and pairs.",
    )


def _height(found: Effects) -> float:
    return max(1.2 + 0.62 * len(found.levels), 3.4)


def draw(figure: "Figure | SubFigure", found: Effects) -> None:
    """A heat map of the main effects, a row a key and a cell a choice; beside it the cells of the strongest pairs."""
    pairs = found.pairs[:2]
    places: Any = figure.subplots(1, 1 + len(pairs), squeeze=False, width_ratios=[1.6, *[1.0] * len(pairs)])
    left = label_inches(list(found.levels)) / WIDTH
    figure.subplots_adjust(left=left, right=0.99, top=0.88, bottom=0.2, wspace=0.5)
    cells = [cell for test in pairs for cell in found.cells[test.term].values()]
    most = max(abs(effect) for effect in [*cells, *(lv.effect for levels in found.levels.values() for lv in levels)])
    axes, *others = places[0]
    ordered = {key: sorted(levels, key=lambda level: _rank(level.value)) for key, levels in found.levels.items()}
    alike = len({tuple(level.value for level in levels) for levels in ordered.values()}) == 1
    columns = (
        [level.value for level in next(iter(ordered.values()))] if alike else [""] * max(map(len, ordered.values()))
    )
    values, texts = {}, {}
    for i, levels in enumerate(ordered.values()):
        for j, level in enumerate(levels):
            values[i, j] = level.effect
            name = "" if alike else f"{level.value}\n"
            texts[i, j] = f"{name}{signed(level.effect)}\n± {share(level.half_width)}"
    _heat(axes, list(ordered), columns, values, texts=texts, most=most)
    axes.set_title(f"Main effects, {found.n} trainings")
    for place, test in zip(others, pairs, strict=True):
        together = found.cells[test.term]
        first, second = (sorted({cell[i] for cell in together}, key=_rank) for i in range(2))
        by_place = {(first.index(a), second.index(b)): value for (a, b), value in together.items()}
        _heat(place, first, second, by_place, texts={cell: signed(v) for cell, v in by_place.items()}, most=most)
        place.set_ylabel(test.term[0])
        place.set_xlabel(test.term[1])
        place.set_title(f"Together, p = {test.p:.1g}")


def _rank(value: str) -> tuple[float, str]:
    """By number where it is one, else by name."""
    try:
        return float(value), ""
    except ValueError:
        return math.inf, value


def _heat(
    axes: "Axes",
    rows: Sequence[str],
    columns: Sequence[str],
    values: Mapping[tuple[int, int], float],
    *,
    texts: Mapping[tuple[int, int], str],
    most: float,
) -> None:
    """Cells by row and column, green where they add and purple where they take away."""
    numbers = [[values.get((i, j), math.nan) for j in range(len(columns))] for i in range(len(rows))]
    axes.imshow(numbers, cmap="PRGn", vmin=-_PALE * most, vmax=_PALE * most, aspect="auto")
    heat_map(axes, rows, columns, rotation=30 if max(map(len, columns)) > _LONG else 0)
    for (i, j), text in texts.items():
        axes.text(j, i, text, ha="center", va="center", fontsize=8 if len(columns) < _MANY else 6.5, color="#000000")
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
