"""A fingerprint of the source code of a family, and of everything that it may call."""

import functools
import hashlib
from pathlib import Path

from trainables.errors import ConfigError
from trainables.families import applications, by_name

_ROOT = Path(__file__).parent


def family_file(family: str) -> Path | None:
    """The file of one of this project's families; None for another family."""
    try:
        module = by_name.family(family)
    except ConfigError:
        return None
    return Path(getattr(module, "__file__", None) or applications.__file__)


@functools.cache
def source_fingerprint(family: str) -> str | None:
    """32 hexadecimal digits: 16 of the family's own file, then 16 of all files of this package; None if unknown."""
    file = family_file(family)
    if file is None:
        return None
    everything = hashlib.sha256()
    for path in sorted(_ROOT.rglob("*.py")):
        everything.update(path.relative_to(_ROOT).as_posix().encode() + path.read_bytes())
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] + everything.hexdigest()[:16]
