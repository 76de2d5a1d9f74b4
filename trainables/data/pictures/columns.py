"""The columns of a table of pictures, by the names that a person gives."""

from dataclasses import dataclass
from typing import Final

from trainables.errors import DataError

_KEYS: Final = frozenset({"file", "label", "part"})


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of a table's columns; those that are None are looked for by their usual names.

    Attributes:
        file: file names; in a Parquet or Arrow file, the pictures.
        label: the classes.
        part: `train`, `validation` or `test`.
    """

    file: str | None = None
    label: str | None = None
    part: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Columns":
        """Columns from a text such as `file=NAME,label=NAME`.

        Raises:
            DataError: if the text is not of this form.
        """
        pairs = [pair.partition("=")[::2] for pair in text.split(",")]
        names = {key.strip(): name.strip() for key, name in pairs}
        if len(names) < len(pairs) or not _KEYS.issuperset(names) or not all(names.values()):
            raise DataError(f"--columns {text} is not valid; valid: file=NAME,label=NAME,part=NAME, or some of these")
        return cls(**names)
