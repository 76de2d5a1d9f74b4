"""What each layer's choice does to accuracy, where arms are a grid: a table, a heat map, the answer in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from rich import box
from rich.table import Table
from rich.text import Text

from records.tables import SCREENING
from studies import page
from studies.compare import Comparison
from studies.effects import Effects, Tested, effects
from studies.extra import Extra, More
from studies.figures import png, svg
from studies.panels import INK, MUTED
from studies.pooled import ALPHA
from studies.replicates import BAD_ENDS, REPLICATE, configuration
from studies.words import count, listed, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_STRONGEST: Final = 3
_POWER: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The trainings of a grid, all seen at one epoch.

    Attributes:
        epoch: the epoch.
        screening: whether they are the screening's, of which all arms ran on one seed.
        values: the value of each key in each training.
        arms: their arms.
        seeds: their seeds and folds.
        accuracies: their validation accuracies.
        effects: what was made of them; None where they do not tell the keys apart.
    """

    epoch: int
    screening: bool
    values: Mapping[str, Sequence[Any]]
    arms: Sequence[str]
    seeds: Sequence[tuple[Any, ...]]
    accuracies: Sequence[float]
    effects: Effects | None

    @property
    def where(self) -> str:
        """At which epoch, and on what."""
        seeds = count(len(set(self.seeds)), "seed")
        return f"at epoch {self.epoch}, " + (f"on the screening's {seeds}" if self.screening else f"on {seeds}")


def grid(found: Comparison, keys: Sequence[str]) -> Grid:
    """The trainings of a sweep by these keys.

    All arms are seen at the last epoch that every one of them reached, on the seeds that all of them had: of later
    epochs only the arms are known that did well before, which would make every choice look good.
    """
    rows = found.replicates.rows
    screening = rows.filter(pl.col("question") == SCREENING)
    like = screening if screening.height else rows
    epoch = found.common_epoch or found.epoch
    good = like.filter(~pl.col("outcome").is_in(BAD_ENDS))
    points = found.replicates.curves.filter(pl.col("epoch") == epoch)
    values_at = points.select("trial_id", "arm", "val_accuracy").unique()
    seen = good.join(values_at, on=["trial_id", "arm"]).unique(REPLICATE).sort(REPLICATE)
    configs = [configuration(text) for text in seen["config_json"]]
    values = {key: [config.get(key) for config in configs] for key in keys}
    seeds = seen.select("seed", "fold").rows()
    accuracies = seen["val_accuracy"].to_list()
    return Grid(
        epoch=epoch,
        screening=bool(screening.height),
        values=values,
        arms=seen["arm"].to_list(),
        seeds=seeds,
        accuracies=accuracies,
        effects=effects(values, seeds, accuracies),
    )


def shown(keys: Sequence[str], reported: Mapping[str, float] | None = None) -> More:
    """The part of a study that says what each of these keys does.

    Args:
        keys: keys of the configuration, one a layer.
        reported: arms that were called best elsewhere, with their accuracies there; the study says where they stand.
    """

    def more(found: Comparison, _results: Path) -> Extra:
        seen = grid(found, keys)
        said = [*sentences(seen), *([standing(found, seen, reported)] if reported else [])]
        if seen.effects is None:
            return Extra(
                printed=tuple(map(Text, said)), sections=("<h2>Layer by layer</h2>", *map(page.paragraph, said))
            )
        drawing = svg(draw, seen.effects, height=_height(seen.effects), title="Effects of each layer's choice")
        caption = (
            f"What each choice adds to the mean of its layer's choices, in validation accuracy, {seen.where}; ± is "
            "half a 95 % interval. Right: what the strongest pairs do together beyond what each choice does alone."
        )
        return Extra(
            printed=(_table(seen.effects), *map(Text, said)),
            sections=(
                "<h2>Layer by layer</h2>",
                *map(page.paragraph, said),
                page.figure(drawing, caption),
                _html_table(seen.effects),
            ),
            files={"layers.png": png(draw, seen.effects, size=(9.6, _height(seen.effects)))},
        )

    return more


def sentences(seen: Grid) -> list[str]:
    """What the effects say, in words."""
    found = seen.effects
    if found is None:
        return [f"The {count(len(seen.accuracies), 'training')} {seen.where} do not tell the layers' choices apart."]
    noise = f"the noise of one is ±{share(found.deviation)} ({found.df} degrees of freedom)"
    said = [f"{count(found.n, 'training')} {seen.where}: {noise}."]
    matter = [test for test in found.main if test.p < ALPHA]
    if matter:
        said.append(" ".join(_of_key(found, test) for test in sorted(matter, key=lambda test: -test.share)))
    silent = [test.term[0] for test in found.main if test.p >= ALPHA]
    if silent:
        said.append(f"No effect was found of {listed(silent)}.")
    pairs = [test for test in found.pairs if test.p < ALPHA]
    if pairs:
        said.append(" ".join(_of_pair(found, test) for test in pairs[:_STRONGEST]))
    elif found.pairs:
        said.append("No two layers' choices were found to act together: each may be chosen for itself.")
    else:
        said.append("The trainings do not suffice to see whether layers act together.")
    best = ", ".join(f"{key} {value}" for key, value in found.best.items())
    said.append(f"Layer by layer the best choices are {best}.")
    return said


def _of_key(found: Effects, test: Tested) -> str:
    levels = found.levels[test.term[0]]
    parts = [f"{level.value} {signed(level.effect)} ± {share(level.half_width)}" for level in levels]
    return f"{test.term[0]} matters (p = {test.p:.1g}): {', '.join(parts)}."


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
    order = sorted(range(len(seen.arms)), key=lambda i: -seen.accuracies[i])
    ranks = {seen.arms[i]: rank for rank, i in enumerate(order, 1)}
    rows = {row["arm"]: row for row in found.arms.to_dicts()}
    several = len(set(seen.seeds)) > 1
    for arm, elsewhere in reported.items():
        if arm not in rows:
            parts.append(f"{arm} (reported {share(elsewhere)}) is not among the arms.")
            continue
        row = rows[arm]
        mean = f", mean {share(row['mean'])} (n = {row['n']})" if row["mean"] is not None else ""
        rank = f"number {ranks[arm]} of {len(ranks)} {seen.where}; " if arm in ranks and not several else ""
        parts.append(f"{arm} (reported {share(elsewhere)}): {rank}{row['verdict']}{mean}.")
    deviation = _noise(found, seen)
    if deviation is not None:
        parts.append(chance(deviation))
    return " ".join(parts)


def _noise(found: Comparison, seen: Grid) -> float | None:
    """The standard deviation of one training: between seeds where arms had several, else the grid's residual."""
    if found.fit is not None and found.fit.pool is not None and found.fit.pool.deviation:
        return found.fit.pool.deviation
    return seen.effects.deviation if seen.effects else None


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


def signed(value: float) -> str:
    """`+.0123`, `-.0040`."""
    return f"{'+' if value >= 0 else '-'}{share(abs(value))}"


def _cells(found: Effects, test: Tested) -> list[str]:
    levels = found.levels[test.term[0]]
    said = [f"{level.value} {signed(level.effect)} ± {share(level.half_width)}" for level in levels]
    return [test.term[0], ", ".join(said), f"{test.share:.1%}", f"{test.p:.1g}"]


def _rows(found: Effects) -> list[list[str]]:
    mains = [_cells(found, test) for test in found.main]
    pairs = [[" x ".join(test.term), "", f"{test.share:.1%}", f"{test.p:.1g}"] for test in found.pairs[:_STRONGEST]]
    return [*mains, *pairs]


_HEAD: Final = ("key", "each choice less the mean of its key's", "share", "p (Holm)")


def _table(found: Effects) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in _HEAD:
        table.add_column(name, justify="right" if name in _HEAD[2:] else "left", overflow="fold")
    for row in _rows(found):
        table.add_row(*map(Text, row))
    return table


def _html_table(found: Effects) -> str:
    caption = (
        "Validation accuracy, ± half a 95 % interval. Share: of the trainings' sum of squares. p: F-test, "
        "Holm-corrected over all keys and pairs."
    )
    return page.table(list(_HEAD), _rows(found), caption)


def _height(found: Effects) -> float:
    return max(1.2 + 0.5 * len(found.levels), 3.4)


def draw(figure: "Figure | SubFigure", found: Effects) -> None:
    """A heat map of the main effects, a row a key and a cell a choice; beside it the cells of the strongest pairs."""
    pairs = found.pairs[:2]
    places: Any = figure.subplots(1, 1 + len(pairs), squeeze=False, width_ratios=[1.6, *[1.0] * len(pairs)])
    figure.subplots_adjust(left=0.1, right=0.99, top=0.88, bottom=0.14, wspace=0.42)
    most = max(abs(level.effect) for levels in found.levels.values() for level in levels)
    most = max([most, *(abs(cell) for test in pairs for cell in found.cells[test.term].values())])
    axes, *others = places[0]
    columns = list(dict.fromkeys(level.value for levels in found.levels.values() for level in _by_name(levels)))
    texts = {
        (key, level.value): f"{signed(level.effect)}\n± {share(level.half_width)}"
        for key, levels in found.levels.items()
        for level in levels
    }
    effect = {(key, level.value): level.effect for key, levels in found.levels.items() for level in levels}
    _heat(axes, list(found.levels), columns, effect, texts=texts, most=most)
    axes.set_title(f"Main effects, {found.n} trainings")
    for place, test in zip(others, pairs, strict=True):
        cells = found.cells[test.term]
        first, second = (list(dict.fromkeys(cell[i] for cell in cells)) for i in range(2))
        _heat(place, first, second, cells, texts={cell: signed(value) for cell, value in cells.items()}, most=most)
        place.set_ylabel(test.term[0])
        place.set_xlabel(test.term[1])
        place.set_title(f"Together, p = {test.p:.1g}")


def _by_name(levels: Sequence[Any]) -> list[Any]:
    """By number where all values are numbers, else by name."""
    numbers = all(level.value.replace(".", "", 1).isdigit() for level in levels)
    return sorted(levels, key=lambda level: float(level.value) if numbers else level.value)


def _heat(
    axes: "Axes",
    rows: Sequence[str],
    columns: Sequence[str],
    effect: Mapping[tuple[str, str], float],
    *,
    texts: Mapping[tuple[str, str], str],
    most: float,
) -> None:
    numbers = [[effect.get((row, column), math.nan) for column in columns] for row in rows]
    axes.imshow(numbers, cmap="PRGn", vmin=-1.25 * most, vmax=1.25 * most, aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if (row, column) in texts:
                axes.text(j, i, texts[row, column], ha="center", va="center", fontsize=8, color="#000000")
            else:
                axes.text(j, i, "\N{EN DASH}", ha="center", va="center", color=MUTED)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
