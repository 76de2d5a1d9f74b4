"""The columns of the table of arms: one definition of headings and cells for the page, the terminal and Markdown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from layersweep.formatting import count
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.arm_rows import Row
from layersweep.studies.statistics.replicates import default_arm
from layersweep.studies.statistics.tuning_candidates import is_nested, is_numeric, varied_keys
from layersweep.studies.wording.answer_sentences import common_basis_note, verdict
from layersweep.studies.wording.number_formats import NONE, setting, share, signed, with_spread

Text: TypeAlias = Callable[[Row], str]
Value: TypeAlias = Callable[[Row], float | str | None]

_SIZES: Final[Mapping[str, str]] = {"parameters": "parameters", "flops": "FLOPs per image", "size_bytes": "size"}


@dataclass(frozen=True, kw_only=True)
class ArmColumn:
    """A column of the table of arms. A row is one of `Comparison.arms`.

    Attributes:
        name: a short name that does not change, for scripts and addresses.
        heading: what is shown above it.
        text: the cell of a row; empty, or a dash, if it has no value.
        value: what rows are sorted by; None if a row has no value.
        is_text: whether it is aligned to the left, and may wrap.
        group: what it tells: how an arm is set, what it reached, or what it cost.
        short_text: a shorter cell, for the terminal; None: `text`.
        is_in_terminal: whether the terminal's table has it. The page can show all.
    """

    name: str
    heading: str
    text: Text
    value: Value
    is_text: bool = False
    group: Literal["setting", "result", "cost"] = "result"
    short_text: Text | None = None
    is_in_terminal: bool = False

    def terminal_text(self, row: Row) -> str:
        """The cell in the terminal."""
        return (self.short_text or self.text)(row)


def arm_columns(comparison: Comparison) -> list[ArmColumn]:
    """The columns that have a value for at least one arm, in the order in which they are shown."""
    rows = comparison.arms.to_dicts()
    columns = [
        ArmColumn(
            name="arm", heading="arm", text=_plain("arm"), value=_number("arm"), is_text=True, group="setting",
            is_in_terminal=True,
        ),
        *_settings(comparison),
        *_results(comparison),
        ArmColumn(
            name="verdict", heading="verdict", text=verdict, value=_number("verdict"), is_text=True,
            is_in_terminal=True,
        ),
        *_costs(comparison),
    ]  # fmt: skip
    return [column for column in columns if any(column.text(row).strip(NONE) for row in rows)]


def _settings(comparison: Comparison) -> list[ArmColumn]:
    """A column for each key that differs between arms and is not told by their names, or that tuning varies."""
    tuned_keys = varied_keys(comparison.tunings)

    def setting_of(row: Row, key: str) -> Any:
        return comparison.configurations.get(row["arm"], {}).get(key)

    def text_of(row: Row, key: str) -> str:
        return setting(setting_of(row, key))

    def value_of(row: Row, key: str) -> float | str | None:
        value = setting_of(row, key)
        return value if value is None or is_numeric(value) else str(value)

    return [
        ArmColumn(
            name=f"setting.{key}",
            heading=key.replace("_", " "),
            text=partial(text_of, key=key),
            value=partial(value_of, key=key),
            group="setting",
            is_in_terminal=key in tuned_keys,
        )
        for key in informative_keys(comparison)
    ]


def _results(comparison: Comparison) -> list[ArmColumn]:
    replicate = "folds" if comparison.replicates.rows["fold"].drop_nulls().len() else "seeds"
    columns = [
        ArmColumn(
            name="mean", heading=f"at {count(comparison.epoch, 'epoch')}", text=_spread(""), value=_number("mean"),
            is_in_terminal=True,
        ),
        ArmColumn(name="interval", heading="95 % interval, new seeds", text=_interval, value=_number("low")),
    ]  # fmt: skip
    if comparison.common_epoch is not None:
        heading = f"all at epoch {comparison.common_epoch}{common_basis_note(comparison)}"
        columns.append(
            ArmColumn(
                name="common_mean", heading=heading, text=_spread("common_"), value=_number("common_mean"),
                is_in_terminal=True,
            )
        )  # fmt: skip
    some_did_not_learn = any(0 < row["learned"] < row["ended"] for row in comparison.arms.to_dicts())
    return [
        *columns,
        ArmColumn(name="n", heading=replicate, text=_whole("replicates"), value=_number("replicates")),
        ArmColumn(
            name="learned", heading="learned", text=learned_with_interval, value=_learned_share, short_text=learned,
            is_in_terminal=some_did_not_learn,
        ),
        ArmColumn(
            name="difference", heading="difference to the leader", text=difference, value=_number("difference"),
            is_in_terminal=True,
        ),
        ArmColumn(
            name="new_training", heading="a new training", text=_share("new_training"), value=_number("new_training"),
            is_in_terminal=True,
        ),
        ArmColumn(
            name="test", heading=comparison.criteria.described_metric.test_name, text=_spread("test_"),
            value=_number("test_mean"), short_text=_share("test_mean"), is_in_terminal=True,
        ),
    ]  # fmt: skip


def _costs(comparison: Comparison) -> list[ArmColumn]:
    """Sums over all trials of an arm, and the sizes and latencies of its networks."""
    units = [row["latency_unit"] for row in comparison.arms.to_dicts() if row["latency_unit"] is not None]
    columns = [
        ArmColumn(name="epochs", heading="epochs", text=_whole("epochs"), value=_number("epochs")),
        ArmColumn(name="seconds", heading="seconds", text=_whole("seconds"), value=_number("seconds")),
        ArmColumn(
            name="seconds_per_epoch", heading="seconds per epoch", text=_epoch_seconds_text, value=_epoch_seconds
        ),
        ArmColumn(
            name="tuning_epochs", heading="epochs of tuning", text=_whole("tuning_epochs"),
            value=_number("tuning_epochs"),
        ),
        ArmColumn(
            name="tuning_seconds", heading="seconds of tuning", text=_whole("tuning_seconds"),
            value=_number("tuning_seconds"),
        ),
        *(
            ArmColumn(name=name, heading=heading, text=partial(_size, name=name), value=_number(name))
            for name, heading in _SIZES.items()
        ),
        ArmColumn(
            name="latency", heading=f"latency, {units[0] if units else ''}", text=_latency, value=_number("latency")
        ),
    ]  # fmt: skip
    return [replace(column, group="cost") for column in columns]


def informative_keys(comparison: Comparison) -> list[str]:
    """The configuration keys that differ between arms and whose values are not in the names of the arms."""
    keys = dict.fromkeys(key for config in comparison.configurations.values() for key in config)
    tuned_keys = varied_keys(comparison.tunings)
    return [key for key in keys if key in tuned_keys or _is_informative(key, comparison.configurations)]


def _is_informative(key: str, configurations: Mapping[str, Mapping[str, Any]]) -> bool:
    values = {arm: config[key] for arm, config in configurations.items() if config.get(key) is not None}
    if any(map(is_nested, values.values())):
        return False
    varies = len({repr(value) for value in values.values()}) > 1
    return varies and any(
        {str(value), f"{key}={value}"}.isdisjoint(default_arm(arm).split(" ")) for arm, value in values.items()
    )


def learned(row: Row) -> str:
    """How many of an arm's trainings learned: `2 of 3`."""
    return f"{row['learned']} of {row['ended']}" if row["ended"] else ""


def learned_with_interval(row: Row) -> str:
    """How many of an arm's trainings learned, with the interval of that share: `2 of 3 (.09 to .99)`."""
    if row["learned_low"] is None:
        return learned(row)
    return f"{learned(row)} ({share(row['learned_low'], 2)} to {share(row['learned_high'], 2)})"


def difference(row: Row) -> str:
    """The difference of an arm to the leader, with its simultaneous interval: `-.012 (-.020 to -.004)`."""
    if not row["difference"]:
        return ""
    text = signed(row["difference"], 3)
    if row["difference_low"] is None:
        return text
    return f"{text} ({signed(row['difference_low'], 3)} to {signed(row['difference_high'], 3)})"


def size(name: str, value: int) -> str:
    """A size of a network: `1.2 MB`, or a whole number of parameters or FLOPs."""
    return f"{value / 1e6:,.1f} MB" if name == "size_bytes" else f"{value:,}"


def _number(column: str) -> Value:
    def value(row: Row) -> float | str | None:
        number: float | str | None = row[column]
        return number

    return value


def _plain(column: str) -> Text:
    return lambda row: str(row[column])


def _whole(column: str) -> Text:
    return lambda row: "" if row[column] is None else f"{row[column]:,.0f}"


def _share(column: str) -> Text:
    return lambda row: "" if row[column] is None else share(row[column])


def _spread(prefix: str) -> Text:
    return lambda row: with_spread(row[f"{prefix}mean"], row[f"{prefix}sd"], row[f"{prefix}n"])


def _interval(row: Row) -> str:
    return "" if row["low"] is None or row["high"] is None else f"{share(row['low'])} to {share(row['high'])}"


def _learned_share(row: Row) -> float | None:
    return row["learned"] / row["ended"] if row["ended"] else None


def _epoch_seconds(row: Row) -> float | None:
    return row["seconds"] / row["epochs"] if row["epochs"] else None


def _epoch_seconds_text(row: Row) -> str:
    seconds = _epoch_seconds(row)
    return "" if seconds is None else f"{seconds:.1f}"


def _size(row: Row, name: str) -> str:
    return "" if row[name] is None else size(name, row[name])


def _latency(row: Row) -> str:
    if not row["latency_n"]:
        return ""
    low, high = row["latency_busy_low"], row["latency_busy_high"]
    slots = f"{high} slot{'s' * (high != 1)} busy"
    busy = "busy slots not recorded" if low is None else slots if low == high else f"{low} to {slots}"
    spread = f"{_ms(row['latency_low'])}\N{EN DASH}{_ms(row['latency_high'])}; " if row["latency_n"] > 1 else ""
    return f"{_ms(row['latency'])} ({spread}n = {row['latency_n']}; {busy})"


def _ms(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
