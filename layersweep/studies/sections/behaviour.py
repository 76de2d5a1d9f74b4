"""The behaviour of layers: dead and saturated units, gradients by depth, differences between the best and worst arms.

The numbers come from the table `layers`: the layers of every trial at epochs 1, 2, 4, 8, ... and the last one, on 64
images. Arms are compared layer by layer, so all of them must have the same kinds of layers.
"""

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from layersweep.formatting import count
from layersweep.records.read import read
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import COLOURS, GRID
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.equal_trainings import equal_trainings
from layersweep.studies.statistics.inference.multiplicity import ALPHA, holm
from layersweep.studies.wording.number_formats import join_words, setting

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
    "activation_deviation": "output spread",
}
_GROUPS: Final = 3
"""The winners are the best third of the arms, the losers the worst third."""
_MIN_ARMS: Final = 6
"""With fewer arms, thirds are too small."""
_HEIGHT: Final = 3.6
_MAX_LISTED: Final = 4
_WINNERS, _LOSERS = "best third", "worst third"
_DEAD_SHARE: Final = 0.01
_NORMALIZATION: Final = "BatchNormalization"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The layers of all arms at one epoch.

    Attributes:
        epoch: the epoch.
        arms: the number of arms.
        rows: one row per arm and layer with weights or an activation, as means over its seeds: arm, index, layer
            (`Conv2D 2`), choice (the difference between arms in this layer: activation, filters or null), accuracy,
            group (best third, worst third or between), and the measures.
        differences: one row per layer and measure: layer, measure, the medians of both groups, p (Mann-Whitney,
            Holm-corrected over all rows).
    """

    epoch: int
    arms: int
    rows: pl.DataFrame
    differences: pl.DataFrame

    @property
    def has_enough_arms(self) -> bool:
        """Whether a measure in which the thirds do not overlap would be significant with this number of arms."""
        third = self.arms // _GROUPS
        return 2 / math.comb(2 * third, third) * self.differences.height < ALPHA


def behaviour(comparison: Comparison, results: Path) -> Behaviour | None:
    """The layers at the last measured epoch of all arms; None for arms with different layers, or too few arms."""
    trainings = equal_trainings(comparison)
    layers = read(results, "layers", columns=_COLUMNS).filter(pl.col("epoch") <= trainings.epoch)
    layers = layers.with_columns(pl.col("kind", "activation").cast(pl.String))
    trials = trainings.rows.select("trial_id", "attempt", "arm", "accuracy_at_epoch")
    layers = layers.join(trials.unique(["trial_id", "arm"]), on=["trial_id", "attempt"])
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
    if arms.height < _MIN_ARMS:
        return None
    third = arms.height // _GROUPS
    groups = [_WINNERS] * third + ["between"] * (arms.height - 2 * third) + [_LOSERS] * third
    rows = by_arm.join(arms.select("arm", pl.Series("group", groups)), on="arm").sort("index", "arm")
    return Behaviour(epoch=epoch, arms=arms.height, rows=rows, differences=_differences(rows))


def _by_arm(layers: pl.DataFrame) -> pl.DataFrame:
    """One row per arm and layer with weights or an activation; other layers only pass on the values before them."""
    is_active = pl.col("activation").is_not_null() & ~pl.col("activation").is_in(["linear", "softmax"])
    # an Activation has the filters of the layer before it
    filters = pl.col("filters").forward_fill().over("trial_id", "arm", order_by="index")
    name = pl.format("{} {}", "kind", pl.col("index").rank("dense").over("kind"))  # Conv2D 2: the second of its kind
    layers = layers.with_columns(name.alias("layer"), filters.alias("filters"), is_active.alias("active"))
    layers = layers.filter(pl.col("active") | (pl.col("parameters") > 0))
    varies = {name: pl.col(name).n_unique().over("index") > 1 for name in ("activation", "filters")}
    choice = (
        pl.when(pl.col("active") & ~varies["activation"] & varies["filters"])
        .then(pl.format("{} filters", "filters"))
        .when(pl.col("active"))
        .then("activation")
    )
    means = [pl.col(name).fill_nan(None).mean() for name in _MEASURES]
    return (
        layers.with_columns(choice.alias("choice"))
        .group_by("arm", "index", "layer", "choice")
        .agg(pl.col("accuracy_at_epoch").mean().alias("accuracy"), *means)
    )


def _differences(rows: pl.DataFrame) -> pl.DataFrame:
    """The differences between the layers of winners and losers, the smallest p-value first."""
    from scipy.stats import mannwhitneyu

    tests: list[dict[str, Any]] = []
    for (index, layer), part in rows.group_by("index", "layer", maintain_order=True):
        for measure in _MEASURES:
            winners, losers = (
                part.filter(pl.col("group") == name)[measure].drop_nulls().to_list() for name in (_WINNERS, _LOSERS)
            )
            if winners and losers and len({*winners, *losers}) > 1:
                p = float(mannwhitneyu(winners, losers).pvalue)
                medians = {"winners": statistics.median(winners), "losers": statistics.median(losers)}
                tests.append({"index": index, "layer": layer, "measure": measure, **medians, "p": p})
    corrected = holm({f"{row['index']} {row['measure']}": row["p"] for row in tests})
    differences = pl.DataFrame([{**row, "p": p} for row, p in zip(tests, corrected.values(), strict=True)])
    return differences.sort("p", "index") if tests else differences


def section(comparison: Comparison, results: Path) -> Section:
    """The section about the behaviour of layers; empty if there is nothing to compare."""
    layers = behaviour(comparison, results)
    if layers is None:
        return Section()
    caption = (
        f"Each layer after epoch {layers.epoch}: the lines are the medians of the best and the worst third of the "
        "arms, the bands reach from the lower to the upper quartile."
    )
    drawing = Drawing(draw=draw, data=layers, height=_HEIGHT, title="Gradients and dead units by layer")
    return make_section(
        "Inside the layers", sentences(layers), tables=[_table(layers)], figure=("inside", drawing, caption)
    )


def sentences(layers: Behaviour) -> list[str]:
    """Sentences about dead units, gradients by depth, and the differences between winners and losers."""
    return [text for text in (_dead_units(layers), _gradients(layers), _differences_sentence(layers)) if text]


def _dead_units(layers: Behaviour) -> str:
    """The share of dead or saturated units in layers with an activation, by the choice for that layer."""
    active = layers.rows.filter(pl.col("choice").is_not_null() & pl.col("dead_share").is_not_null())
    by_choice = active.group_by("index", "layer", "choice").agg(pl.col("dead_share").mean()).sort("index", "choice")
    worst = by_choice.filter(pl.col("dead_share") > _DEAD_SHARE).sort("dead_share", descending=True).to_dicts()
    if not worst:
        return f"After epoch {layers.epoch}, hardly any unit is dead or saturated, for every choice."
    shares = [f"{row['layer']} with {row['choice']} {row['dead_share']:.0%}" for row in worst[:_MAX_LISTED]]
    return f"The largest shares of dead or saturated units after epoch {layers.epoch}: {join_words(shares)}."


def _gradients(layers: Behaviour) -> str:
    norms = layers.rows.filter(pl.col("gradient_norm").is_not_null())
    by_layer = norms.group_by("index", "layer").agg(pl.col("gradient_norm").median()).sort("index").to_dicts()
    if len(by_layer) < 2:  # noqa: PLR2004 (a first and a last)
        return ""
    first, last = by_layer[0], by_layer[-1]
    return (
        f"The median gradient norm is {setting(first['gradient_norm'])} in the first layer with weights "
        f"({first['layer']}) and {setting(last['gradient_norm'])} in the last one ({last['layer']})."
    )


def _differences_sentence(layers: Behaviour) -> str:
    if not layers.differences.height:
        return ""
    significant = layers.differences.filter(pl.col("p") < ALPHA).to_dicts()
    differences = [
        f"{row['layer']}: {_MEASURES[row['measure']]} {setting(row['winners'])} against {setting(row['losers'])}"
        for row in significant[:_MAX_LISTED]
    ]
    if differences:
        return f"The best and the worst third of the arms differ most in {join_words(differences)}."
    if not layers.has_enough_arms:
        return f"{count(layers.arms, 'arm')} are too few to test differences between the best and the worst third."
    return "The best and the worst third of the arms do not differ significantly in any layer."


def _table(layers: Behaviour) -> Table:
    """A row per layer and measure, the smallest p-value first."""
    cells = [
        [row["layer"], _MEASURES[row["measure"]], setting(row["winners"]), setting(row["losers"]), f"{row['p']:.1g}"]
        for row in layers.differences.to_dicts()
    ]
    caption = "The medians of both groups, and p-values of Mann-Whitney tests, Holm-corrected."
    columns = ["layer", "measure", _WINNERS, _LOSERS, "p (Holm)"]
    return Table(columns=columns, rows=cells, title=None, caption=caption)


def draw(figure: "Figure | SubFigure", layers: Behaviour) -> None:
    """Draws gradient norm and share of dead or saturated units by depth, for the best and the worst third."""
    panels: Any = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.99, top=0.9, bottom=0.32, wspace=0.2)
    is_normalization = pl.col("layer").str.starts_with(_NORMALIZATION)  # its few weights have much larger gradients
    weighted = layers.rows.filter(pl.col("gradient_norm").is_not_null() & ~is_normalization)
    active = layers.rows.filter(pl.col("choice").is_not_null())
    _by_depth(panels[0], weighted, "gradient_norm", log=True)
    panels[0].set_title("Gradient norm by depth")
    _by_depth(panels[1], active, "dead_share", log=False)
    panels[1].set_title("Share of dead or saturated units")
    panels[1].legend(frameon=False, fontsize=8.5)


def _by_depth(axes: "Axes", rows: pl.DataFrame, measure: str, *, log: bool) -> None:
    from matplotlib.ticker import FuncFormatter

    rows = rows.filter(pl.col(measure).is_not_null())
    layers = rows.unique("index").sort("index")["layer"].to_list()
    for name, colour in zip((_WINNERS, _LOSERS), COLOURS, strict=False):
        part = rows.filter(pl.col("group") == name).group_by("index", "layer")
        quartiles = part.agg(pl.col(measure).quantile(q).alias(str(q)) for q in (0.25, 0.5, 0.75)).sort("index")
        positions = [layers.index(layer) for layer in quartiles["layer"]]
        axes.plot(positions, quartiles["0.5"], color=colour, marker="o", ms=4, label=name)
        axes.fill_between(positions, quartiles["0.25"], quartiles["0.75"], color=colour, alpha=0.16, lw=0)
    positive = rows.filter(pl.col(measure) > 0)[measure].to_list()
    if log and positive:
        axes.set_yscale("symlog", linthresh=min(positive))  # shows a gradient of 0, too
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: setting(float(value))))
    axes.grid(color=GRID, lw=0.6)
    axes.set_xticks(range(len(layers)), layers, rotation=60, ha="right", fontsize=7.5)
