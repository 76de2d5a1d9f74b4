"""How the layers of arms behave: where units die or saturate, how gradients fade, how winners differ from losers.

Of the `layers` table: every trial's layers at epochs 1, 2, 4, 8, ... and the last, on 64 images. Arms are compared
layer by layer, so all of them must have the same kinds of layers.
"""

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from layersweep.records.read import read
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import COLOURS, GRID
from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.pooled_variance import ALPHA, holm
from layersweep.studies.wording.equal_trainings import even
from layersweep.studies.wording.words import listed, setting
from layersweep.words import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_COLUMNS: Final = (
    "trial_id", "attempt", "epoch", "index", "kind", "activation", "filters", "parameters", "activation_deviation",
    "dead_share", "gradient_norm",
)  # fmt: skip
_MEASURES: Final = {
    "dead_share": "dead or saturated",
    "gradient_norm": "gradient norm",
    "activation_deviation": "spread",
}
_GROUP: Final = 3
"""Winners are the best third of the arms, losers the worst."""
_FEWEST: Final = 6
"""Arms below which thirds say nothing."""
_HEIGHT: Final = 3.6
_MOST: Final = 4
_WINNERS, _LOSERS = "best third", "worst third"
_DEAD: Final = 0.01
_SCALE: Final = "BatchNormalization"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The layers of all arms at one epoch.

    Attributes:
        epoch: the epoch.
        arms: how many there are.
        rows: one row an arm and layer that has weights or an activation, as means over its seeds: arm, index, layer
            (`Conv2D 2`), choice (what distinguishes arms there: its activation, else its filters, else none), accuracy,
            group (best third, worst third, or between), and the measures.
        differences: one row a layer and measure: layer, measure, the medians of both groups, p (Mann-Whitney,
            Holm-corrected over all).
    """

    epoch: int
    arms: int
    rows: pl.DataFrame
    differences: pl.DataFrame

    @property
    def tellable(self) -> bool:
        """Whether so many arms could show a difference at all: where the thirds do not overlap in one measure."""
        third = self.arms // _GROUP
        return 2 / math.comb(2 * third, third) * self.differences.height < ALPHA


def behaviour(found: Comparison, results: Path) -> Behaviour | None:
    """The layers at the last measured epoch that every arm reached; None where arms have other layers, or are few."""
    seen = even(found)
    layers = read(results, "layers", columns=_COLUMNS).filter(pl.col("epoch") <= seen.epoch)
    layers = layers.with_columns(pl.col("kind", "activation").cast(pl.String))
    mine = seen.rows.select("trial_id", "attempt", "arm", "at")
    layers = layers.join(mine.unique(["trial_id", "arm"]), on=["trial_id", "attempt"])
    layers = layers.unique(["trial_id", "arm", "epoch", "index"])
    reached = layers.group_by("trial_id").agg(pl.col("epoch").max())["epoch"].to_list()
    if not reached:
        return None
    epoch = min(reached)
    layers = layers.filter(pl.col("epoch") == epoch).sort("trial_id", "arm", "index")
    if layers.group_by("trial_id", "arm").agg(pl.col("kind").str.join("|"))["kind"].n_unique() > 1:
        return None
    by_arm = _by_arm(layers)
    arms = by_arm.group_by("arm").agg(pl.col("accuracy").first()).sort("accuracy", "arm", descending=[True, False])
    if arms.height < _FEWEST:
        return None
    third = arms.height // _GROUP
    groups = [_WINNERS] * third + ["between"] * (arms.height - 2 * third) + [_LOSERS] * third
    rows = by_arm.join(arms.select("arm", pl.Series("group", groups)), on="arm").sort("index", "arm")
    return Behaviour(epoch=epoch, arms=arms.height, rows=rows, differences=_differences(rows))


def _by_arm(layers: pl.DataFrame) -> pl.DataFrame:
    """One row an arm and layer with weights or an activation; what others do repeats the layer before them."""
    active = pl.col("activation").is_not_null() & ~pl.col("activation").is_in(["linear", "softmax"])
    # an Activation's filters are those of the layer before
    wide = pl.col("filters").forward_fill().over("trial_id", "arm", order_by="index")
    name = pl.format("{} {}", "kind", pl.col("index").rank("dense").over("kind"))  # Conv2D 2: the second of its kind
    named = layers.with_columns(name.alias("layer"), wide.alias("filters"), active.alias("active"))
    named = named.filter(pl.col("active") | (pl.col("parameters") > 0))
    several = {name: pl.col(name).n_unique().over("index") > 1 for name in ("activation", "filters")}
    choice = (
        pl.when(pl.col("active") & ~several["activation"] & several["filters"])
        .then(pl.format("{} filters", "filters"))
        .when(pl.col("active"))
        .then("activation")
    )
    means = [pl.col(name).fill_nan(None).mean() for name in _MEASURES]
    return (
        named.with_columns(choice.alias("choice"))
        .group_by("arm", "index", "layer", "choice")
        .agg(pl.col("at").mean().alias("accuracy"), *means)
    )


def _differences(rows: pl.DataFrame) -> pl.DataFrame:
    """Where the winners' layers differ from the losers', the surest first."""
    from scipy.stats import mannwhitneyu

    made: list[dict[str, Any]] = []
    for (index, layer), part in rows.group_by("index", "layer", maintain_order=True):
        for measure in _MEASURES:
            winners, losers = (
                part.filter(pl.col("group") == name)[measure].drop_nulls().to_list() for name in (_WINNERS, _LOSERS)
            )
            if winners and losers and len({*winners, *losers}) > 1:
                p = float(mannwhitneyu(winners, losers).pvalue)
                medians = {"winners": statistics.median(winners), "losers": statistics.median(losers)}
                made.append({"index": index, "layer": layer, "measure": measure, **medians, "p": p})
    corrected = holm({f"{row['index']} {row['measure']}": row["p"] for row in made})
    found = pl.DataFrame([{**row, "p": p} for row, p in zip(made, corrected.values(), strict=True)])
    return found.sort("p", "index") if made else found


def shown(found: Comparison, results: Path) -> Extra:
    """The layers' behaviour as a part of a study; empty where there is none to compare."""
    seen = behaviour(found, results)
    if seen is None:
        return Extra()
    caption = (
        f"After epoch {seen.epoch}, layer by layer: medians of the best and the worst third of the arms, bands from "
        "the lower to the upper quartile."
    )
    drawing = Drawing(draw=draw, found=seen, height=_HEIGHT, title="Gradients and dead units by layer")
    return section("Inside the layers", sentences(seen), tables=[_table(seen)], figure=("inside", drawing, caption))


def sentences(seen: Behaviour) -> list[str]:
    """Where units die, how gradients change with depth, and where winners and losers differ."""
    return [text for text in (_dead(seen), _gradients(seen), _apart(seen)) if text]


def _dead(seen: Behaviour) -> str:
    """Of layers with an activation: the share of units that hardly change, by what was chosen there."""
    active = seen.rows.filter(pl.col("choice").is_not_null() & pl.col("dead_share").is_not_null())
    by_choice = active.group_by("index", "layer", "choice").agg(pl.col("dead_share").mean()).sort("index", "choice")
    worst = by_choice.filter(pl.col("dead_share") > _DEAD).sort("dead_share", descending=True).to_dicts()
    if not worst:
        return f"After epoch {seen.epoch} hardly a unit is dead or saturated, whatever was chosen."
    said = [f"{row['layer']} with {row['choice']} {row['dead_share']:.0%}" for row in worst[:_MOST]]
    return f"Dead or saturated units after epoch {seen.epoch}, most of all: {listed(said)}."


def _gradients(seen: Behaviour) -> str:
    norms = seen.rows.filter(pl.col("gradient_norm").is_not_null())
    by_layer = norms.group_by("index", "layer").agg(pl.col("gradient_norm").median()).sort("index").to_dicts()
    if len(by_layer) < 2:  # noqa: PLR2004 (a first and a last)
        return ""
    first, last = by_layer[0], by_layer[-1]
    return (
        f"Gradients: median norm {setting(first['gradient_norm'])} in the first layer with weights ({first['layer']}), "
        f"{setting(last['gradient_norm'])} in the last ({last['layer']})."
    )


def _apart(seen: Behaviour) -> str:
    if not seen.differences.height:
        return ""
    told = seen.differences.filter(pl.col("p") < ALPHA).to_dicts()
    said = [
        f"{row['layer']}'s {_MEASURES[row['measure']]} ({setting(row['winners'])} against {setting(row['losers'])})"
        for row in told[:_MOST]
    ]
    if said:
        return f"The best third of the arms differs from the worst most by {listed(said)}."
    if not seen.tellable:
        return f"{count(seen.arms, 'arm')} are too few to tell the best third from the worst by what their layers do."
    return "No layer tells the best third of the arms from the worst by any of these measures."


def _table(seen: Behaviour) -> Table:
    """A row a layer and measure in which both groups were seen, the surest first."""
    cells = [
        [row["layer"], _MEASURES[row["measure"]], setting(row["winners"]), setting(row["losers"]), f"{row['p']:.1g}"]
        for row in seen.differences.to_dicts()
    ]
    caption = "Medians of both groups; p: Mann-Whitney test, Holm-corrected."
    return Table(head=["layer", "measure", _WINNERS, _LOSERS, "p (Holm)"], rows=cells, title=None, caption=caption)


def draw(figure: "Figure | SubFigure", seen: Behaviour) -> None:
    """Gradient norm by depth, and share of dead or saturated units by depth, of the best and the worst third."""
    places: Any = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.99, top=0.9, bottom=0.32, wspace=0.2)
    scales = pl.col("layer").str.starts_with(_SCALE)  # their few weights have gradients of another size
    weighted = seen.rows.filter(pl.col("gradient_norm").is_not_null() & ~scales)
    active = seen.rows.filter(pl.col("choice").is_not_null())
    _by_depth(places[0], weighted, "gradient_norm", log=True)
    places[0].set_title("Gradient norm by depth")
    _by_depth(places[1], active, "dead_share", log=False)
    places[1].set_title("Share of dead or saturated units")
    places[1].legend(frameon=False, fontsize=8.5)


def _by_depth(axes: "Axes", rows: pl.DataFrame, measure: str, *, log: bool) -> None:
    from matplotlib.ticker import FuncFormatter

    rows = rows.filter(pl.col(measure).is_not_null())
    layers = rows.unique("index").sort("index")["layer"].to_list()
    for name, colour in zip((_WINNERS, _LOSERS), COLOURS, strict=False):
        part = rows.filter(pl.col("group") == name).group_by("index", "layer")
        quartiles = part.agg(pl.col(measure).quantile(q).alias(str(q)) for q in (0.25, 0.5, 0.75)).sort("index")
        places = [layers.index(layer) for layer in quartiles["layer"]]
        axes.plot(places, quartiles["0.5"], color=colour, marker="o", ms=4, label=name)
        axes.fill_between(places, quartiles["0.25"], quartiles["0.75"], color=colour, alpha=0.16, lw=0)
    positive = rows.filter(pl.col(measure) > 0)[measure].to_list()
    if log and positive:
        axes.set_yscale("symlog", linthresh=min(positive))  # a gradient that vanished altogether is drawn at 0
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: setting(float(value))))
    axes.grid(color=GRID, lw=0.6)
    axes.set_xticks(range(len(layers)), layers, rotation=60, ha="right", fontsize=7.5)
