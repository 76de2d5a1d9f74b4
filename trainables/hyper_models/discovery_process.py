"""A process that discovers the hyperparameters of a hypermodel, so that the driver needs no Keras: `main()`."""

import contextlib
import hashlib
import json
import os
import pickle
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import cloudpickle

from trainables.data.cache import cache_root
from trainables.errors import ConfigError
from trainables.families.family import place_of
from trainables.families.family_code import by_value, own_folders
from trainables.hyper_models.space import HyperSpace
from trainables.references import CANNOT_PICKLE, culprit

_PACKAGES: Final = ("keras", "keras_tuner", "tensorflow")
_ROOT: Final = Path(__file__).parents[1]


def discovered(model: Any) -> HyperSpace:
    """The space of a hypermodel: it is found in a process of its own, and remembered by its code.

    Raises:
        ConfigError: as `space_of`, or if the hypermodel cannot be sent.
    """
    code = _sealed(model)
    file = cache_root() / "hypermodels" / f"{_digest(code)}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # none, or of another version
        return HyperSpace.of_json(json.loads(file.read_text(encoding="utf-8")))
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", "from trainables.hyper_models.discovery_process import main; main()"]
    request = pickle.dumps((own_folders(), code))
    process = subprocess.run(command, input=request, capture_output=True, env=environment, check=False)
    if process.returncode:
        last = next((line for line in reversed(process.stderr.decode().splitlines()) if line.strip()), "no output")
        raise ConfigError(f"the process that looks for hyperparameters failed: {last}")
    answer = json.loads(process.stdout.decode().splitlines()[-1])
    if "problem" in answer:
        raise ConfigError(answer["problem"])
    file.parent.mkdir(parents=True, exist_ok=True)
    new_file = file.with_suffix(f".{os.getpid()}.making")
    new_file.write_text(json.dumps(answer), encoding="utf-8")
    new_file.replace(file)
    return HyperSpace.of_json(answer)


def main() -> None:
    """Answers with the space of the hypermodel that stdin has."""
    from trainables.hyper_models.discovery import space_of
    from trainables.worker.warm_up import imports

    folders, code = pickle.loads(sys.stdin.buffer.read())
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    imports()
    model = pickle.loads(code)
    try:
        answer = space_of(model.build if hasattr(model, "build") else model).as_json
    except ConfigError as error:
        answer = {"problem": str(error)}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _sealed(model: Any) -> bytes:
    """The hypermodel, for another process.

    Raises:
        ConfigError: if something of it cannot be sent.
    """
    with by_value(model):
        try:
            code: bytes = cloudpickle.dumps(model)
        except CANNOT_PICKLE as error:
            raise ConfigError(f"{place_of(model)} cannot be sent: {culprit([model], error)}") from error
    return code


def _digest(code: bytes) -> str:
    """Stands for all that the space depends on: the code of the hypermodel, of its user's modules, and of ours."""
    digest = hashlib.sha256(code)
    folders = [Path(folder) for folder in own_folders()]
    files = {Path(file) for module in [*sys.modules.values()] if (file := getattr(module, "__file__", None))}
    files = {file for file in files if "site-packages" not in file.parts}
    own_files = {file for file in files if any(file.is_relative_to(folder) for folder in folders)}
    for file in sorted(own_files | {*_ROOT.glob("hyper_models/*.py")}):
        with contextlib.suppress(OSError):
            digest.update(file.read_bytes())
    digest.update(repr([version(package.replace("_", "-")) for package in _PACKAGES]).encode())
    return digest.hexdigest()[:32]
