"""Finds a family by its name: a file in this folder, which is imported on demand, or one of keras.applications."""

import importlib
import itertools
import pkgutil
import re
from collections.abc import Sequence
from typing import Any, Final

from trainables import families
from trainables.errors import ConfigError, near_miss
from trainables.families.applications import OTHERS, PUBLISHED

FROM_OTHERS: Final = ("transfer",)
"""Families that are built from a pretrained network, and cannot be built without one."""

FROM_SEARCH: Final = ("autokeras",)
"""Families whose networks come from a search."""

_OTHER_FILES: Final = ("application_table", "applications", "by_name", "family", "family_code")
"""Files in this folder that are not families."""

_TABLE: Final = {published.name: published for published in (*PUBLISHED, *OTHERS)}
_FILES: Final = {file.name for file in pkgutil.iter_modules(families.__path__)}.difference(_OTHER_FILES, FROM_OTHERS)

FROM_KERAS: Final = tuple(published.name for published in OTHERS)
"""Families of keras.applications that no sweep of this project compares unless it is told to."""

FAMILIES: Final = tuple(sorted((_FILES | _TABLE.keys()).difference(FROM_KERAS)))
"""Families that `sweeps/architectures.py` compares."""

NAMES: Final = (*FAMILIES, *FROM_KERAS, *FROM_OTHERS, *FROM_SEARCH)
"""All families."""


def family(name: str) -> Any:
    """A family: a module, or a row of a table, with `Config`, `build` and `train`. Keras is not imported.

    Raises:
        ConfigError: if there is no family with this name; the message lists the valid names.
    """
    if name not in NAMES:
        raise ConfigError(f"family={name!r} is not valid; {near_miss(name, NAMES)}valid: {valid_names()}")
    if name in _TABLE:
        return _TABLE[name]
    return importlib.import_module(f"trainables.{'nas' if name in FROM_SEARCH else 'families'}.{name}")


def valid_names(others: Sequence[str] = (*FAMILIES, *FROM_OTHERS, *FROM_SEARCH)) -> str:
    """These names and those of keras.applications, for a message; those that begin with one word stand together."""
    names = [name for name in FROM_KERAS if name not in others]
    groups = (", ".join(group) for _, group in itertools.groupby(names, lambda name: re.split(r"\d|_", name)[0]))
    return f"{', '.join(others)}; of keras.applications also {'; '.join(groups)}"
