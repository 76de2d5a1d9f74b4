"""The best network of each search: its layers by kind, its depth, its hyperparameters, and a drawing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from layersweep.formatting import count
from layersweep.records.metrics import Metric
from layersweep.records.read import read
from layersweep.studies.figures import network_drawing
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.network_drawing import Layer
from layersweep.studies.figures.style import line_styles
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES
from layersweep.studies.statistics.searches import SearchCandidate, Trajectory, searches
from layersweep.studies.wording.number_formats import NONE, setting, share

_COLUMNS: Final = (
    "trial_id", "attempt", "epoch", "index", "name", "kind", "filters", "kernel", "stride", "parameters",
    "output_shape",
)  # fmt: skip
_CAPTION: Final = (
    "From the images at the top to the classes: each box is a layer, with name → output shape · parameters. Layers "
    "with parameters are filled. In deep networks, a box is a sequence of layers, counted by kind. The connections of "
    "layers are not recorded, so branches are drawn one after another."
)
_DEPTH: Final = (
    "The depth is the number of layers with parameters, because the connections of layers are not recorded. In "
    "brackets: the number of parameters."
)


@dataclass(frozen=True, kw_only=True)
class Network:
    """The best network of a search.

    Attributes:
        search: the arm of the search.
        candidate: the candidate with this network.
        is_compared: whether this configuration was compared on fresh seeds.
        layers: in the order of the records; empty if none are recorded.
    """

    search: str
    candidate: SearchCandidate
    is_compared: bool
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """The number of parameters of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def depth(self) -> int:
        """The number of layers with parameters."""
        return sum(layer.parameters > 0 for layer in self.layers)

    @property
    def kinds(self) -> dict[str, tuple[int, int]]:
        """For each kind of layer, the number of layers and the number of their parameters."""
        by_kind: dict[str, list[int]] = {}
        for layer in self.layers:
            by_kind.setdefault(layer.kind, []).append(layer.parameters)
        return {kind: (len(weights), sum(weights)) for kind, weights in by_kind.items()}


def networks(comparison: Comparison, results: Path) -> list[Network]:
    """The best network of each search with an accuracy, by the names of the searches."""
    rows = comparison.replicates.rows
    result = []
    for search in searches(comparison, results):
        compared = [c for c in search.candidates if c.config == comparison.configurations.get(search.name)]
        best = compared[0] if compared else _best(search)
        if best is not None:
            other_ids = rows.filter(pl.col("arm") == search.name)["trial_id"].to_list() if compared else []
            layers = _layers(results, [best.trial_id, *other_ids])
            result.append(Network(search=search.name, candidate=best, is_compared=bool(compared), layers=layers))
    return result


def _best(search: Trajectory) -> SearchCandidate | None:
    """The first of the most accurate candidates with the most epochs, except diverged, hopeless and failed ones."""
    candidates = [c for c in search.candidates if c.accuracy is not None and c.end not in EXCLUDED_OUTCOMES]
    return max(candidates, key=lambda c: (c.epochs, c.accuracy, -c.number), default=None)


def _layers(results: Path, trial_ids: Sequence[str]) -> tuple[Layer, ...]:
    """The layers of the first of these trials that has any; all trials have the same configuration."""
    rows = read(results, "layers", columns=_COLUMNS).filter(pl.col("trial_id").is_in(list(trial_ids)))
    for trial_id in trial_ids:
        layers = rows.filter(pl.col("trial_id") == trial_id).sort("attempt", "epoch")
        if layers.height:
            last = layers.unique("index", keep="last").sort("index").drop("trial_id", "attempt", "epoch", "index")
            return tuple(Layer(**row | {"parameters": row["parameters"] or 0}) for row in last.to_dicts())
    return ()


def section(comparison: Comparison, results: Path) -> Section:
    """The section about the best networks; a sentence if there is none."""
    if not searches(comparison, results):
        return Section()
    best_networks, metric = networks(comparison, results), comparison.criteria.described_metric
    heading = "The best network of each search"
    if not best_networks:
        return make_section(heading, ["No search has a network yet: no candidate has completed its training."])
    tables = [_layer_table(best_networks)] if any(network.layers for network in best_networks) else []
    if any(network.candidate.choices for network in best_networks):
        tables.append(_choice_table(best_networks))
    columns = _columns(best_networks, comparison)
    drawing = Drawing(draw=network_drawing.draw, data=columns, height=network_drawing.height(columns), title=heading)
    figure = ("networks", drawing, _CAPTION) if columns else None
    result = make_section(heading, _sentences(best_networks, metric), tables=tables, figure=figure)
    n = len(tables)
    return replace(result, terminal=(*result.terminal[n:], *result.terminal[:n]))  # sentences first


def _columns(best_networks: Sequence[Network], comparison: Comparison) -> list[network_drawing.Column]:
    styles = line_styles(comparison.arms["arm"].to_list())
    return [
        network_drawing.Column(
            title=network.search,
            note=f"{count(len(network.layers), 'layer')}, {network.parameters:,} parameters",
            colour=styles[network.search].colour,
            boxes=network_drawing.fold(network.layers),
        )
        for network in best_networks
        if network.layers
    ]


def _sentences(best_networks: Sequence[Network], metric: Metric) -> list[str]:
    """A sentence about each network: the candidate, the reason for selecting it, and its depth."""
    texts, best = [], "most accurate" if metric.counts_images else "best"
    for network in best_networks:
        candidate = network.candidate
        which = f"candidate {candidate.number}, {share(candidate.accuracy)} after {count(candidate.epochs, 'epoch')}"
        why = f"the {best} one with the most epochs; not compared"
        if network.is_compared:
            why = "compared on fresh seeds"
        depth = f"{count(len(network.layers), 'layer')}, {network.depth} with parameters"
        texts.append(
            f"{network.search}: {which} ({why}); {depth if network.layers else 'its layers are not recorded'}."
        )
    return texts


def _layer_table(best_networks: Sequence[Network]) -> Table:
    """A row per kind of layer, the kinds with most parameters first; a column per network."""
    best_networks = [network for network in best_networks if network.layers]
    parameters_by_kind = Counter[str]()
    for network in best_networks:
        parameters_by_kind.update({kind: parameters for kind, (_, parameters) in network.kinds.items()})
    kinds = [kind for kind, _ in parameters_by_kind.most_common()]
    rows = [[kind, *(_cell(network.kinds.get(kind)) for network in best_networks)] for kind in kinds]
    depth = ["with parameters", *(_cell((network.depth, network.parameters)) for network in best_networks)]
    columns = ["kind", *(network.search for network in best_networks)]
    return Table(columns=columns, rows=[depth, *rows], title="layers by kind", caption=_DEPTH)


def _cell(counts: tuple[int, int] | None) -> str:
    if counts is None:
        return NONE
    n, parameters = counts
    return f"{n:,} ({parameters:,})" if parameters else f"{n:,}"


def _choice_table(best_networks: Sequence[Network]) -> Table:
    """A row per hyperparameter, a column per network; a dash if a network does not have it."""
    names = short_keys([*dict.fromkeys(key for network in best_networks for key in network.candidate.choices)])
    rows = [
        [name, *(setting(network.candidate.choices.get(key, NONE)) for network in best_networks)]
        for key, name in names.items()
    ]
    columns = ["hyperparameter", *(network.search for network in best_networks)]
    caption = "The hyperparameters of each network, as AutoKeras names them."
    return Table(columns=columns, rows=rows, title="hyperparameters", caption=caption)


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """The last two parts of each key: `conv_block_1/kernel_size`; the whole key if two keys have the same end."""
    ends = {key: "/".join(key.split("/")[-2:]) for key in keys}
    occurrences = Counter(ends.values())
    return {key: end if occurrences[end] == 1 else key for key, end in ends.items()}
