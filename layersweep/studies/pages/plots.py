"""The interactive figures of a page, shown_rows by Bokeh from the columns that `page_values` makes.

The page in the browser fills the sources with rows, and hides those that its filter excludes. Colours and dashes follow
an arm's `style`, so that both palettes of `figures.style`, for light and dark pages, fit.

Bokeh was chosen among the libraries whose figures need no server, no network and no code of ours for each event; what
else was looked at, and the measurements, are in docs/decisions/pages.md.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from layersweep.records.metrics import METRICS
from layersweep.studies.figures.style import COLOURS, MUTED
from layersweep.studies.pages.figure_columns import OTHER_WORK, WAITING, Columns

if TYPE_CHECKING:
    from bokeh import plotting
    from bokeh.models import CategoricalColorMapper, ColumnDataSource, Plot

WORK_COLOURS: Final[Mapping[str, str]] = {
    "train": "#0072b2", "validate": "#3f9bd6", "features": "#7a4a21", "build": "#c08a00", "test": "#009e73",
    "measure": "#b0467f", "checkpoint": "#4b4e9e", "import": "#7c8500", "start": "#d55e00", "close": "#4d4d4d",
    WAITING: "#c4c8ce", OTHER_WORK: "#8a5a9e",
}  # fmt: skip
"""The colours of what a slot does."""
_MAX_STYLES: Final = 500
"""Arms beyond that many, in the order of their names, are grey."""
_HEIGHT: Final = 320
_TOOLS: Final = "pan,box_zoom,wheel_zoom,tap,reset,save"
_QUIET: Final[Mapping[str, Any]] = {"nonselection_alpha": 0.08, "selection_line_width": 3}


class _Page:
    """Makes the figures of one page: each its own Bokeh document, with named sources."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._sources: dict[str, ColumnDataSource] = {}

    def source(self, name: str) -> "ColumnDataSource":
        from bokeh.models import ColumnDataSource

        columns: Columns = self._values["sources"][name]
        return ColumnDataSource(data={column: [] for column in columns}, name=name)

    def shown_rows(self, name: str) -> dict[str, Any]:
        """The source of a glyph, and the view through which the page's filter hides rows."""
        from bokeh.models import BooleanFilter, CDSView

        return {"source": self.source(name), "view": CDSView(filter=BooleanFilter(name=f"{name} shown"))}


def figures(values: Mapping[str, Any]) -> "dict[str, Plot]":
    """The figures of a page by name; without rows, which the page fills in.

    Args:
        values: as `page_values` makes them.
    """
    page = _Page(values)
    metric = METRICS[values["metric"]].name
    return {
        "differences": _differences(page, metric),
        "curves": _curves(page, metric),
        "rungs": _rungs(page, metric),
        "parallel": _parallel(page),
        "best": _best(page, metric),
        "slots": _slots(page),
        "lanes": _lanes(page),
        "pareto": _pareto(page, metric),
        "effects": _effects(page, metric),
        "importance": _importance(page),
        "confusion": _confusion(page),
    }


def _figure(
    name: str,
    *,
    x: str = "",
    y: str = "",
    x_interval: float = 0,
    hover: Sequence[tuple[str, str]] = (),
    **options: Any,
) -> "plotting.figure":
    from bokeh.models import HoverTool
    from bokeh.plotting import figure

    settings: dict[str, Any] = {
        "height": _HEIGHT, "sizing_mode": "stretch_width", "tools": _TOOLS, "toolbar_location": "above",
        "background_fill_color": None, "border_fill_color": None, "outline_line_color": None,
        "x_axis_label": x, "y_axis_label": y, "name": name, **options,
    }  # fmt: skip
    plot = figure(**settings)
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    if hover:
        plot.add_tools(HoverTool(tooltips=[*hover], point_policy="follow_mouse"))
    if x_interval:
        plot.xaxis.ticker.min_interval = x_interval
    for axis in plot.axis:
        axis.update(axis_line_color=MUTED, major_tick_line_color=None, minor_tick_line_color=None)
    return plot


def _colour() -> "dict[str, Any]":
    """The colour of an arm by its style; the page sets the palette, light or dark."""
    return {"field": "style", "transform": _mapper()}


def _mapper() -> "CategoricalColorMapper":
    from bokeh.models import CategoricalColorMapper

    factors = [str(i) for i in range(_MAX_STYLES)]
    return CategoricalColorMapper(
        factors=factors,
        palette=[[*COLOURS][i % len(COLOURS)] for i in range(_MAX_STYLES)],
        nan_color=MUTED,
        name="arm colours",
    )


def _curves(page: _Page, metric: str) -> "plotting.figure":
    hover = [("arm", "@arm"), ("seed", "@seed"), ("epoch or seconds", "$x{0.[0]}"), (metric, "$y{0.0000}")]
    plot = _figure("curves", x="epoch", x_interval=1, y=metric, hover=hover, height=400)
    plot.patches(
        "epochs", "ys", fill_color=_colour(), fill_alpha=0.14, line_color=None, name="bands", **page.shown_rows("bands")
    )
    thin = {"line_color": _colour(), "line_alpha": 0.45, "line_width": 1}
    plot.multi_line("epochs", "ys", name="seeds", **thin, **_QUIET, **page.shown_rows("seeds"))
    plot.multi_line(
        "epochs",
        "ys",
        name="means",
        line_color=_colour(),
        line_width=2,
        line_dash={"field": "dash"},
        **_QUIET,
        **page.shown_rows("means"),
    )
    plot.text(
        "epochs",
        "y",
        "label",
        x_offset=-4,
        y_offset=-3,
        text_align="right",
        text_font_size="11px",
        text_color=_colour(),
        name="labels",
        **page.shown_rows("labels"),
    )
    return plot


def _rungs(page: _Page, metric: str) -> "plotting.figure":
    from bokeh.transform import factor_mark, jitter

    hover = [("arm", "@arm"), ("rung", "@x"), (metric, "@y{0.0000}"), ("cutoff", "@cutoff{0.0000}"), ("", "@what")]
    plot = _figure("rungs", x="rung (epoch)", x_interval=1, y=metric, hover=hover)
    plot.x_range.update(min_interval=3)
    marks = factor_mark("what", ["circle", "x"], ["went on", "stopped"])
    plot.scatter("x", "y", marker="dash", size=34, line_color=MUTED, line_alpha=0.5, source=page.source("cutoffs"))
    plot.scatter(
        jitter("x", 0.3), "y", marker=marks, size=9, line_color=_colour(), fill_color=_colour(), fill_alpha=0.5,
        nonselection_alpha=0.1, **page.shown_rows("rungs"),
    )  # fmt: skip
    return plot


def _parallel(page: _Page) -> "plotting.figure":
    from bokeh.models import FixedTicker, Range1d

    hover = [("arm", "@arm"), ("trial", "@key"), ("value", "@value{0.0000}")]
    plot = _figure("parallel", hover=hover, height=360, y_range=Range1d(-0.06, 1.14))
    plot.multi_line(
        "xs", "ys", line_color=_colour(), line_alpha=0.5, line_width=1.5, **_QUIET, **page.shown_rows("parallel")
    )
    plot.text(
        "x",
        "y",
        "text",
        text_font_size="11px",
        x_offset=5,
        text_baseline="middle",
        text_color=MUTED,
        source=page.source("ticks"),
    )
    plot.text(
        "x",
        1.05,
        "text",
        text_font_size="12px",
        text_align="center",
        text_baseline="bottom",
        text_color=MUTED,
        source=page.source("axes"),
    )
    plot.x_range.update(range_padding=0.3)
    plot.xaxis.ticker = FixedTicker(ticks=[*range(12)])
    plot.axis.visible = plot.ygrid.visible = False
    return plot


def _best(page: _Page, metric: str) -> "plotting.figure":
    plot = _figure(
        "best", x="epochs of all trials", y=f"best {metric} so far", hover=[("", "@arm"), (metric, "$y{0.0000}")]
    )
    plot.multi_line(
        "epochs",
        "ys",
        name="best",
        line_color=_colour(),
        line_width=2,
        line_dash={"field": "dash"},
        **_QUIET,
        **page.shown_rows("best"),
    )
    return plot


def _slots(page: _Page) -> "plotting.figure":
    from bokeh.models import CategoricalColorMapper

    mapper = CategoricalColorMapper(factors=[*WORK_COLOURS], palette=[*WORK_COLOURS.values()], nan_color=MUTED)
    plot = _figure("slots", x="seconds since the start", y="slots", hover=[("", "@what")], height=240)
    plot.patches(
        "xs",
        "ys",
        fill_color={"field": "what", "transform": mapper},
        fill_alpha=0.85,
        line_color=None,
        legend_field="what",
        source=page.source("slots"),
    )
    plot.legend.update(
        orientation="horizontal",
        location="top_left",
        background_fill_alpha=0,
        border_line_color=None,
        label_text_font_size="11px",
        label_text_color=MUTED,
        name="legend",
    )
    plot.add_layout(plot.legend[0], "above")
    return plot


def _lanes(page: _Page) -> "plotting.figure":
    hover = [("arm", "@arm"), ("trial", "@key"), ("from", "@left{0} s"), ("to", "@right{0} s")]
    plot = _figure("lanes", x="seconds since the start", y="trials side by side", hover=hover, height=240)
    plot.hbar(
        y="lane", left="left", right="right", height=0.8, fill_color=_colour(), line_color="white", line_width=0.5,
        nonselection_alpha=0.15, **page.shown_rows("lanes"),
    )  # fmt: skip
    plot.yaxis.ticker = []
    return plot


def _intervals(plot: "plotting.figure", names: str, shown_rows: Mapping[str, Any], colour: Any) -> None:
    plot.segment("low", names, "high", names, line_color=colour, line_width=2, nonselection_alpha=0.15, **shown_rows)
    plot.scatter("x", names, size=9, color=colour, nonselection_alpha=0.15, **shown_rows)


def _differences(page: _Page, metric: str) -> "plotting.figure":
    from bokeh.models import FactorRange, Span

    hover = [
        ("arm", "@arm"),
        ("difference", "@x{0.0000}"),
        ("interval", "@low{0.0000} to @high{0.0000}"),
        ("", "@verdict"),
    ]
    plot = _figure(
        "differences",
        x=f"difference of {metric} to the leader",
        hover=hover,
        y_range=FactorRange(name="differences", tags=["label", True]),
    )
    plot.add_layout(Span(location=0, dimension="height", line_color=MUTED, line_dash="dotted"))
    _intervals(plot, "label", page.shown_rows("differences"), _colour())
    return plot


def _effects(page: _Page, metric: str) -> "plotting.figure":
    from bokeh.models import FactorRange, Span

    hover = [("", "@choice"), ("effect", "@x{0.0000}"), ("interval", "@low{0.0000} to @high{0.0000}")]
    plot = _figure(
        "effects", x=f"effect on {metric}", hover=hover, y_range=FactorRange(name="effects", tags=["choice", True])
    )
    plot.add_layout(Span(location=0, dimension="height", line_color=MUTED, line_dash="dotted"))
    _intervals(plot, "choice", {"source": page.source("effects")}, MUTED)
    return plot


def _importance(page: _Page) -> "plotting.figure":
    from bokeh.models import FactorRange

    names = FactorRange(name="importance", tags=["name", True])
    hover = [("", "@name"), ("share", "@share{0.00}")]
    plot = _figure("importance", x="share of the variance between trials", hover=hover, y_range=names)
    plot.hbar(y="name", right="share", height=0.6, color=MUTED, source=page.source("importance"))
    return plot


def _pareto(page: _Page, metric: str) -> "plotting.figure":
    plot = _figure(
        "pareto",
        x="cost",
        y=metric,
        hover=[("arm", "@arm"), ("cost", "@x{0,0.[00]}"), (metric, "@y{0.0000}")],
        x_axis_type="log",
    )
    plot.xaxis.formatter.min_exponent = 4
    plot.x_range.update(range_padding=0.4)
    shown_rows = page.shown_rows("pareto")
    plot.scatter("x", "y", size=10, color=_colour(), nonselection_alpha=0.15, **shown_rows)
    plot.text(
        "x", "y", "front", x_offset=8, text_font_size="11px", text_baseline="middle", text_color=MUTED, **shown_rows
    )
    return plot


def _confusion(page: _Page) -> "plotting.figure":
    from bokeh.models import FactorRange

    hover = [("is", "@actual"), ("taken for", "@predicted"), ("images", "@images"), ("share", "@share{0.000}")]
    predicted = FactorRange(name="confusion", tags=["predicted", False, "from the left"])
    actual = FactorRange(name="confusion", tags=["actual"])
    plot = _figure("confusion", x="taken for", y="is", hover=hover, height=460, x_range=predicted, y_range=actual)
    shown_rows = page.shown_rows("confusion")
    plot.rect("predicted", "actual", 1, 1, fill_color="#0072b2", fill_alpha="shade", line_color=None, **shown_rows)
    plot.text(
        "predicted",
        "actual",
        "images",
        text_font_size="10px",
        text_align="center",
        text_baseline="middle",
        text_color=MUTED,
        **shown_rows,
    )
    plot.xaxis.major_label_orientation = 0.8
    plot.grid.visible = False
    return plot
