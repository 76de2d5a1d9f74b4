"""Finds a family by its name: a file in this folder, which is imported on demand, or one of keras.applications."""

import importlib
import pkgutil
from typing import Any, Final

from trainables import families
from trainables.errors import ConfigError, near_miss
from trainables.families.applications import PUBLISHED

FROM_OTHERS: Final = ("transfer",)
"""Families that are built from a pretrained network, and cannot be built without one."""

FROM_SEARCH: Final = ("autokeras",)
"""Families whose networks come from a search."""

_OTHER_FILES: Final = ("applications", "by_name", "family", "family_code", "hyper_model")
"""Files in this folder that are not families."""

_TABLE: Final = {published.name: published for published in PUBLISHED}
_FILES: Final = {file.name for file in pkgutil.iter_modules(families.__path__)}.difference(_OTHER_FILES, FROM_OTHERS)

FAMILIES: Final = tuple(sorted(_FILES | _TABLE.keys()))


def family(name: str) -> Any:
    """A family: a module, or a row of a table, with `Config`, `build` and `train`. Keras is not imported.

    Raises:
        ConfigError: if there is no family with this name; the message lists the valid names.
    """
    names = (*FAMILIES, *FROM_OTHERS, *FROM_SEARCH)
    if name not in names:
        raise ConfigError(f"family={name!r} is not valid; {near_miss(name, names)}valid: {', '.join(names)}")
    if name in _TABLE:
        return _TABLE[name]
    return importlib.import_module(f"trainables.{'nas' if name in FROM_SEARCH else 'families'}.{name}")
