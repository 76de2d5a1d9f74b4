"""Every family, by name: a file in this folder each, imported when it is asked for, or one of keras.applications."""

import importlib
import pkgutil
from typing import Any, Final

from trainables import families
from trainables.errors import ConfigError, near_miss
from trainables.families.applications import PUBLISHED

FROM_OTHERS: Final = ("transfer",)
"""Families that are made from a network that was trained before, and cannot be built without one."""

SEARCHED: Final = ("autokeras",)
"""Families whose networks are what a search has found."""

_SHARED: Final = ("applications", "by_name", "family")
"""Files of this folder that are no family."""

_TABLE: Final = {published.name: published for published in PUBLISHED}
_FILES: Final = {file.name for file in pkgutil.iter_modules(families.__path__)}.difference(_SHARED, FROM_OTHERS)

FAMILIES: Final = tuple(sorted(_FILES | _TABLE.keys()))


def family(name: str) -> Any:
    """A family: a module, or a row of a table, with its `Config`, `build` and `train`. Keras is not imported.

    Raises:
        ConfigError: if there is none of that name; the message lists those that there are.
    """
    known = (*FAMILIES, *FROM_OTHERS, *SEARCHED)
    if name not in known:
        raise ConfigError(f"family={name!r} is not valid; {near_miss(name, known)}valid: {', '.join(known)}")
    if name in _TABLE:
        return _TABLE[name]
    return importlib.import_module(f"trainables.{'nas' if name in SEARCHED else 'families'}.{name}")
