"""Where this code is, a clone or installed packages, and the commands that follow from that."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[1]
"""The folder of this package: in a clone the project's folder, of which each machine of a cluster has a copy."""

CODE_FOLDERS: Final = ("benchmarks", "layersweep", "search_spaces", "sweeps", "trainables")
"""The folders of a clone that `ray up` copies to each machine of a cluster."""

IS_CLONE: Final = (FOLDER / "pyproject.toml").is_file()
"""Whether this is a clone in which the packages are installed in place, not an installation from a wheel."""

COMMAND: Final = "uv run layersweep" if IS_CLONE else "layersweep"
"""The command `layersweep`, as it is typed where this is installed."""

SWEEP_SCRIPT: Final = "sweeps/optimizers.py" if IS_CLONE else "your_sweep.py"
"""An example of a script that runs a sweep."""

TRAINING_PACKAGES: Final = ("ray", "tensorflow", "keras", "psutil", "sklearn", "PIL", "hyperopt")
"""What every sweep needs of the extra `train`, as it is imported."""


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra."""
    if not IS_CLONE:
        return f"pip install 'layersweep[{extra}]'"
    return "uv sync" if extra == "train" else f"uv sync --group {extra}"


def missing_packages() -> list[str]:
    """The packages for training that are not installed; none of them is imported."""
    return [name for name in TRAINING_PACKAGES if find_spec(name) is None]
