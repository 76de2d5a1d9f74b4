"""Checks a data set before hours are spent on it, and writes one page about it.

    layersweep data PATH [--image-size N] [--fit stretch|crop|pad] [--set flip=horizontal ...] [--out FILE]
    layersweep data --dataset fashion_mnist

PATH is anything that `--dataset image_folder --data PATH` takes: a folder, a table, Parquet files or .npz. The page
shows how the files were understood, the classes and parts, copies of pictures (a test picture that is also a training
picture spoils results), damaged files, and pictures as a model sees them. Nothing is trained or changed.

The exit code is 0 if the page was written, whatever it says, and 2 if the data cannot be understood.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import tyro

from layersweep.escaping import terminal, to_file_name
from layersweep.exit_codes import BAD_INPUT, INTERRUPTED, OK

if TYPE_CHECKING:
    from layersweep.data_check.collection import Collection
    from layersweep.data_check.findings import Finding
    from layersweep.terminal import Console
    from trainables.keys import Keys

PICTURE_KEYS: Final = ("image_size", "fit", "resizing", "channels", "flip", "shift", "rotate", "zoom", "contrast")
"""The keys that change what a model sees."""

_SHOWN_CLASSES: Final = 20
_STYLES: Final = {"spoils results": "bold red", "worth a look": "yellow", "as it should be": "green"}
_MARKS: Final = {"spoils results": "✗", "worth a look": "!", "as it should be": "✓"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Checks a data set before hours are spent on it."""

    path: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="PATH", help_behavior_hint="")] = None
    """A folder with a folder of pictures for each class, a table (.csv, .tsv), Parquet or Arrow files, or .npz."""
    dataset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "image_folder"
    """A data set by its name, such as fashion_mnist, in place of your own pictures."""
    columns: Annotated[str | None, tyro.conf.arg(metavar="file=A,label=B", help_behavior_hint="(default: by name)")] = (
        None
    )
    """The columns of a table."""
    image_size: Annotated[int, tyro.conf.arg(metavar="N", help_behavior_hint="(default: most pictures' size)")] = 0
    """Height and width of the pictures that the model will see, in pixels."""
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    """How pictures of other proportions are brought to that size."""
    set: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint="(repeatable)"),
        tyro.conf.UseAppendAction,
    ] = ()
    """A key that changes what a model sees, as in a sweep: flip=horizontal, rotate=10, channels=1."""
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: results/data/NAME.html)")
    ] = None
    """The page to write."""


def main(arguments: Sequence[str]) -> int:
    """`layersweep data`; returns the exit code."""
    options = tyro.cli(Options, args=list(arguments), prog="layersweep data", description=__doc__)
    from trainables.errors import ConfigError, DataError

    try:
        _check(options)
    except (DataError, ConfigError, OSError) as error:
        sys.stderr.write(terminal(f"error: {' '.join(str(error).split())}\n"))
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped: no page is written\n")
        return INTERRUPTED
    return OK


def _check(options: Options) -> None:
    """Checks the data, writes the page and prints the summary.

    Raises:
        DataError: if the data cannot be understood.
        ConfigError: if a key or its value is not valid.
        OSError: if the cache or the page cannot be written.
    """
    from layersweep.terminal import Console

    config, console = config_of(options), Console()
    _refuse_names(options)

    def say(text: str) -> None:
        console.print(text, style="dim")

    from layersweep.data_check.check_page import html
    from layersweep.data_check.collection import collection
    from layersweep.data_check.copies import copies
    from layersweep.data_check.findings import findings
    from layersweep.data_check.sheet import sheet
    from layersweep.records.files import write_whole
    from trainables.data.pictures.columns import Columns

    columns = None if options.columns is None else Columns.parse(options.columns)
    pictures = collection(options.dataset, options.path, columns, say)
    say("comparing pictures …")
    pairs = copies(pictures.thumbnails, pictures.digests, pictures.parts, say)
    texts = findings(pictures, pairs, config.fit)
    page = html(pictures, pairs, texts, sheet(pictures, config), config)
    out = options.out or Path("results") / "data" / f"{to_file_name(pictures.title)}.html"
    write_whole(out, page.encode())
    _print(console, pictures, texts, out)


def config_of(options: Options) -> "Keys":
    """The keys of the command line.

    Raises:
        ConfigError: if a key or its value is not valid.
    """
    from trainables.config import make, parse
    from trainables.errors import ConfigError, near_miss
    from trainables.keys import Keys

    defaults = Options()
    flags = {"image_size": options.image_size, "fit": options.fit}
    values: dict[str, Any] = {key: value for key, value in flags.items() if value != getattr(defaults, key)}
    for text in options.set:
        key, _, value = text.partition("=")
        if key not in PICTURE_KEYS:
            hint = near_miss(key, PICTURE_KEYS)
            raise ConfigError(f"--set {text} is not valid: {hint}valid keys: {', '.join(PICTURE_KEYS)}")
        if key in values:
            raise ConfigError(f"--set {text} gives {key} a second time; valid: each key once")
        values[key] = parse(Keys, key, value)
    return make(Keys, values)


def _refuse_names(options: Options) -> None:
    """Says how a data set is named, if its name stands where a path is expected.

    Raises:
        DataError: if so.
    """
    from trainables.data.sources import PICTURES, source
    from trainables.errors import DataError

    if options.dataset != PICTURES or options.path is None or options.path.exists():
        return
    try:
        name = source(str(options.path)).NAME
    except DataError:
        return
    raise DataError(f"{options.path} is not a path; valid: --dataset {name}")


def _print(console: "Console", pictures: "Collection", texts: Sequence["Finding"], out: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    from trainables.data.pictures.picture_list import PARTS

    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    shown_parts = [part for part in range(len(PARTS)) if (pictures.parts == part).any()]
    for part in shown_parts:
        table.add_column(PARTS[part], justify="right")
    for label in range(min(len(pictures.classes), _SHOWN_CLASSES)):
        table.add_row(pictures.classes[label], *(f"{pictures.counts[label, part]:,}" for part in shown_parts))
    if (rest := len(pictures.classes) - _SHOWN_CLASSES) > 0:
        table.add_row(f"and {rest:,} more", *([""] * len(shown_parts)))
    table.add_row("all", *(f"{pictures.counts[:, part].sum():,}" for part in shown_parts), style="bold")
    console.print(table)
    for finding in texts:
        console.print(Text(f"{_MARKS[finding.level]} {finding.text}", style=_STYLES[finding.level]))
        for example in finding.examples:
            console.print(Text(f"    {example}"))
    console.print(Text(f"page     {out}"))
