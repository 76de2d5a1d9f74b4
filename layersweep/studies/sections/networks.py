"""The network that each search chose: its layers by kind, its depth, what was chosen for it, and a drawing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from layersweep.records.read import read
from layersweep.studies.figures import network_drawing
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.network_drawing import Layer
from layersweep.studies.figures.style import inks
from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import BAD_ENDS
from layersweep.studies.statistics.searches import Course, Tried, searches
from layersweep.studies.wording.words import NONE, setting, share
from layersweep.words import count

_COLUMNS: Final = (
    "trial_id", "attempt", "epoch", "index", "name", "kind", "filters", "kernel", "stride", "parameters",
    "output_shape",
)  # fmt: skip
_CAPTION: Final = (
    "From the images down to the classes: a box a layer, with name → output shape · parameters; filled where it has "
    "any. In deep networks one box is a run of layers, counted by kind. How layers are joined is not recorded: "
    "branches are drawn one after another."
)
_DEPTH: Final = (
    "Layers with parameters are counted: how many of them lie one behind another is not recorded. In brackets: their "
    "parameters."
)


@dataclass(frozen=True, kw_only=True)
class Network:
    """The best network of a search.

    Attributes:
        search: the arm.
        candidate: which of its candidates it is.
        compared: whether the search chose it: its configuration is the one that is compared.
        layers: in the order of the records; empty where none are recorded.
    """

    search: str
    candidate: Tried
    compared: bool
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def depth(self) -> int:
        """How many layers have parameters."""
        return sum(layer.parameters > 0 for layer in self.layers)

    @property
    def kinds(self) -> dict[str, tuple[int, int]]:
        """How many layers there are of each kind, and how many parameters these have together."""
        by_kind: dict[str, list[int]] = {}
        for layer in self.layers:
            by_kind.setdefault(layer.kind, []).append(layer.parameters)
        return {kind: (len(weights), sum(weights)) for kind, weights in by_kind.items()}


def networks(found: Comparison, results: Path) -> list[Network]:
    """One a search that has a candidate with an accuracy, by the names of the searches."""
    compared = found.replicates.rows
    made = []
    for course in searches(found, results):
        mine = [c for c in course.tried if c.config == found.settings.get(course.name)]
        best = mine[0] if mine else _best(course)
        if best is not None:
            again = compared.filter(pl.col("arm") == course.name)["trial_id"].to_list() if mine else []
            layers = _layers(results, [best.trial_id, *again])
            made.append(Network(search=course.name, candidate=best, compared=bool(mine), layers=layers))
    return made


def _best(course: Course) -> Tried | None:
    """The most accurate of those that came furthest, of equal ones the first; none of a bad end."""
    sound = [c for c in course.tried if c.accuracy is not None and c.end not in BAD_ENDS]
    return max(sound, key=lambda c: (c.epochs, c.accuracy, -c.number), default=None)


def _layers(results: Path, trial_ids: Sequence[str]) -> tuple[Layer, ...]:
    """The layers of the first of these trials that has any, which share a configuration."""
    rows = read(results, "layers", columns=_COLUMNS).filter(pl.col("trial_id").is_in(list(trial_ids)))
    for trial_id in trial_ids:
        mine = rows.filter(pl.col("trial_id") == trial_id).sort("attempt", "epoch")
        if mine.height:
            last = mine.unique("index", keep="last").sort("index").drop("trial_id", "attempt", "epoch", "index")
            return tuple(Layer(**row | {"parameters": row["parameters"] or 0}) for row in last.to_dicts())
    return ()


def shown(found: Comparison, results: Path) -> Extra:
    """The networks as a part of a study; a sentence where there is none."""
    if not searches(found, results):
        return Extra()
    seen = networks(found, results)
    heading = "The best network of each search"
    if not seen:
        return section(heading, ["No search has a network yet: no candidate has ended well."])
    tables = [_of_layers(seen)] if any(network.layers for network in seen) else []
    if any(network.candidate.choices for network in seen):
        tables.append(_of_choices(seen))
    drawn = _drawn(seen, found)
    drawing = Drawing(draw=network_drawing.draw, found=drawn, height=network_drawing.height(drawn), title=heading)
    made = section(heading, _said(seen), tables=tables, figure=("networks", drawing, _CAPTION) if drawn else None)
    return replace(made, printed=(*made.printed[len(tables) :], *made.printed[: len(tables)]))  # words first


def _drawn(seen: Sequence[Network], found: Comparison) -> list[network_drawing.Column]:
    ink = inks(found.arms["arm"].to_list())
    return [
        network_drawing.Column(
            title=network.search,
            note=f"{count(len(network.layers), 'layer')}, {network.parameters:,} parameters",
            colour=ink[network.search].colour,
            boxes=network_drawing.fold(network.layers),
        )
        for network in seen
        if network.layers
    ]


def _said(seen: Sequence[Network]) -> list[str]:
    """Which candidate it is, why that one, and how deep it is."""
    said = []
    for network in seen:
        one = network.candidate
        which = f"candidate {one.number}, {share(one.accuracy)} after {count(one.epochs, 'epoch')}"
        why = "compared on fresh seeds" if network.compared else "the best of those that came furthest; not compared"
        deep = f"{count(len(network.layers), 'layer')}, {network.depth} with parameters"
        said.append(f"{network.search}: {which} ({why}); {deep if network.layers else 'its layers are not recorded'}.")
    return said


def _of_layers(seen: Sequence[Network]) -> Table:
    """A row a kind of layer, those with most parameters first; a column a network."""
    known = [network for network in seen if network.layers]
    weight = Counter[str]()
    for network in known:
        weight.update({kind: parameters for kind, (_, parameters) in network.kinds.items()})
    kinds = [kind for kind, _ in weight.most_common()]
    rows = [[kind, *(_cell(network.kinds.get(kind)) for network in known)] for kind in kinds]
    deep = ["with parameters", *(_cell((network.depth, network.parameters)) for network in known)]
    head = ["kind", *(network.search for network in known)]
    return Table(head=head, rows=[deep, *rows], title="layers by kind", caption=_DEPTH)


def _cell(counted: tuple[int, int] | None) -> str:
    if counted is None:
        return NONE
    n, parameters = counted
    return f"{n:,} ({parameters:,})" if parameters else f"{n:,}"


def _of_choices(seen: Sequence[Network]) -> Table:
    """A row a choice, a column a network; a dash where a network has no such choice."""
    names = readable([*dict.fromkeys(key for network in seen for key in network.candidate.choices)])
    rows = [[name, *(setting(one.candidate.choices.get(key, NONE)) for one in seen)] for key, name in names.items()]
    head = ["choice", *(network.search for network in seen)]
    caption = "What each search chose for it, as AutoKeras names it."
    return Table(head=head, rows=rows, title="what was chosen", caption=caption)


def readable(keys: Sequence[str]) -> dict[str, str]:
    """The end of each key, behind its last slash but one: `conv_block_1/kernel_size`; whole where two end alike."""
    ends = {key: "/".join(key.split("/")[-2:]) for key in keys}
    often = Counter(ends.values())
    return {key: end if often[end] == 1 else key for key, end in ends.items()}
