"""How the layers of arms behave: where units die or saturate, how gradients fade, how winners differ from losers.

Of the `layers` table: every trial's layers at epochs 1, 2, 4, 8, ... and the last, on 64 images. Arms are compared
layer by layer, so all of them must have the same kinds of layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from rich.text import Text

from records.read import read
from records.tables import SCREENING
from studies import page
from studies.compare import Comparison
from studies.extra import Extra
from studies.figures import png, svg
from studies.panels import COLOURS, GRID
from studies.pooled import ALPHA, holm
from studies.replicates import BAD_ENDS
from studies.words import listed, setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_COLUMNS: Final = (
    "trial_id", "attempt", "epoch", "index", "kind", "activation", "filters", "activation_deviation", "dead_share",
    "weight_norm", "gradient_norm",
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
_WINNERS, _LOSERS = "best third", "worst third"
_DEAD: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The layers of all arms at one epoch.

    Attributes:
        epoch: the epoch.
        rows: one row an arm and layer, as means over its seeds: arm, index, layer (`Conv2D 2`), choice (its activation,
            or its filters), accuracy, group (best third, worst third, or between), and the measures.
        differences: one row a layer and measure: layer, measure, the medians of both groups, p (Mann-Whitney,
            Holm-corrected over all).
    """

    epoch: int
    rows: pl.DataFrame
    differences: pl.DataFrame


def behaviour(found: Comparison, results: Path) -> Behaviour | None:
    """The layers at the last measured epoch that every arm reached; None where arms have other layers, or are few."""
    rows = found.replicates.rows
    screening = rows.filter(pl.col("question") == SCREENING)
    like = (screening if screening.height else rows).filter(~pl.col("outcome").is_in(BAD_ENDS))
    limit = found.common_epoch or found.epoch
    wanted = like["trial_id"].unique().to_list()
    layers = read(results, "layers", columns=_COLUMNS).filter(
        pl.col("trial_id").is_in(wanted) & (pl.col("epoch") <= limit)
    )
    layers = layers.join(like.select("trial_id", "attempt").unique(), on=["trial_id", "attempt"])
    layers = layers.unique(["trial_id", "epoch", "index"])
    reached = layers.group_by("trial_id").agg(pl.col("epoch").max())["epoch"]
    if not layers.height:
        return None
    epoch = int(reached.min())  # type: ignore[arg-type]
    layers = layers.filter(pl.col("epoch") == epoch).sort("trial_id", "index")
    if layers.group_by("trial_id").agg(pl.col("kind").str.join("|"))["kind"].n_unique() > 1:
        return None
    curves = found.replicates.curves.filter(pl.col("epoch") == limit).select("trial_id", "arm", "val_accuracy").unique()
    joined = layers.join(curves, on="trial_id").with_columns(_names(layers))
    choice = pl.coalesce(
        pl.when(pl.col("activation") != "linear").then(pl.col("activation").cast(pl.String)),
        pl.col("filters").cast(pl.String),
    )
    means = [pl.col(name).fill_nan(None).mean() for name in (*_MEASURES, "weight_norm")]
    by_arm = (
        joined.with_columns(choice.alias("choice"))
        .group_by("arm", "index", "layer", "choice")
        .agg(pl.col("val_accuracy").mean().alias("accuracy"), *means)
    )
    arms = by_arm.group_by("arm").agg(pl.col("accuracy").first()).sort("accuracy", "arm", descending=[True, False])
    if arms.height < _FEWEST:
        return None
    third = arms.height // _GROUP
    groups = [_WINNERS] * third + ["between"] * (arms.height - 2 * third) + [_LOSERS] * third
    named = arms.select("arm", pl.Series("group", groups))
    rows = by_arm.join(named, on="arm").sort("index", "arm")
    return Behaviour(epoch=epoch, rows=rows, differences=_differences(rows))


def _names(layers: pl.DataFrame) -> pl.Expr:
    """`Conv2D 2`: the kind of a layer and its number among those of its kind."""
    one = layers.unique("index").sort("index")
    seen: dict[str, int] = {}
    names = {}
    for index, kind in one.select("index", pl.col("kind").cast(pl.String)).rows():
        seen[kind] = seen.get(kind, 0) + 1
        names[index] = f"{kind} {seen[kind]}"
    return pl.col("index").replace_strict(names, return_dtype=pl.String).alias("layer")


def _differences(rows: pl.DataFrame) -> pl.DataFrame:
    """Where the winners' layers differ from the losers'."""
    from scipy.stats import mannwhitneyu

    made: list[dict[str, Any]] = []
    for (index, layer), part in rows.group_by("index", "layer", maintain_order=True):
        for measure in _MEASURES:
            winners, losers = (
                part.filter(pl.col("group") == name)[measure].drop_nulls().to_list() for name in (_WINNERS, _LOSERS)
            )
            if winners and losers and len({*winners, *losers}) > 1:
                p = float(mannwhitneyu(winners, losers).pvalue)
                medians = {"winners": _median(winners), "losers": _median(losers)}
                made.append({"index": index, "layer": layer, "measure": measure, **medians, "p": p})
    corrected = holm({f"{row['index']} {row['measure']}": row["p"] for row in made})
    return pl.DataFrame([{**row, "p": p} for row, p in zip(made, corrected.values(), strict=True)])


def _median(values: Sequence[float]) -> float:
    return float(pl.Series(values).median())  # type: ignore[arg-type]


def shown(found: Comparison, results: Path) -> Extra:
    """The layers' behaviour as a part of a study; empty where there is none to compare."""
    seen = behaviour(found, results)
    if seen is None:
        return Extra()
    said = sentences(seen)
    drawing = svg(draw, seen, height=_HEIGHT, title="Gradients and dead units by layer")
    caption = (
        f"After epoch {seen.epoch}, layer by layer: medians of the best and the worst third of the arms, bands from "
        "the lower to the upper quartile."
    )
    table = _table(seen)
    return Extra(
        printed=tuple(map(Text, said)),
        sections=(
            "<h2>Inside the layers</h2>",
            *map(page.paragraph, said),
            page.figure(drawing, caption),
            page.table(list(table[0]), table[1:], "Medians of both groups; p: Mann-Whitney test, Holm-corrected."),
        ),
        files={"inside.png": png(draw, seen, size=(9.6, _HEIGHT))},
    )


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
    said = [f"{row['layer']} with {row['choice']} {row['dead_share']:.0%}" for row in worst[:4]]
    return f"Dead or saturated units after epoch {seen.epoch}, most of all: {listed(said)}."


def _gradients(seen: Behaviour) -> str:
    norms = seen.rows.filter(pl.col("gradient_norm") > 0)
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
    told = seen.differences.filter(pl.col("p") < ALPHA).sort("p").to_dicts()
    if not told:
        return "No layer tells the best third of the arms from the worst by any of these measures."
    said = [
        f"{row['layer']}'s {_MEASURES[row['measure']]} ({setting(row['winners'])} against {setting(row['losers'])})"
        for row in told[:4]
    ]
    return f"The best third of the arms differs from the worst most by {listed(said)}."


def _table(seen: Behaviour) -> list[list[str]]:
    """A row a layer and measure in which both groups were seen, the surest first."""
    rows = seen.differences.sort("p", "index").to_dicts() if seen.differences.height else []
    cells = [
        [row["layer"], _MEASURES[row["measure"]], setting(row["winners"]), setting(row["losers"]), f"{row['p']:.1g}"]
        for row in rows
    ]
    return [["layer", "measure", _WINNERS, _LOSERS, "p (Holm)"], *cells]


def draw(figure: "Figure | SubFigure", seen: Behaviour) -> None:
    """Gradient norm by depth, and share of dead or saturated units by depth, of the best and the worst third."""
    places: Any = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.99, top=0.9, bottom=0.32, wspace=0.2)
    weighted = seen.rows.filter(pl.col("gradient_norm") > 0)
    active = seen.rows.filter(pl.col("choice").is_not_null())
    _by_depth(places[0], weighted, "gradient_norm", log=True)
    places[0].set_title("Gradient norm by depth")
    _by_depth(places[1], active, "dead_share", log=False)
    places[1].set_title("Share of dead or saturated units")
    places[1].legend(frameon=False, fontsize=8.5)


def _by_depth(axes: "Axes", rows: pl.DataFrame, measure: str, *, log: bool) -> None:
    rows = rows.filter(pl.col(measure).is_not_null())
    layers = rows.unique("index").sort("index")["layer"].to_list()
    for name, colour in zip((_WINNERS, _LOSERS), COLOURS, strict=False):
        part = rows.filter(pl.col("group") == name).group_by("index", "layer")
        quartiles = part.agg(
            *(pl.col(measure).quantile(q).alias(str(q)) for q in (0.25, 0.5, 0.75)),
        ).sort("index")
        places = [layers.index(layer) for layer in quartiles["layer"]]
        axes.plot(places, quartiles["0.5"].to_list(), color=colour, marker="o", ms=4, label=name)
        axes.fill_between(
            places, quartiles["0.25"].to_list(), quartiles["0.75"].to_list(), color=colour, alpha=0.16, lw=0
        )
    if log:
        axes.set_yscale("log")
    axes.grid(color=GRID, lw=0.6)
    axes.set_xticks(range(len(layers)), layers, rotation=60, ha="right", fontsize=7.5)
