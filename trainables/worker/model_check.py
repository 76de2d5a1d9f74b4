"""Builds models in a process of its own, to find before any trial starts what only building shows: `main()`.

Weights are fetched on the way, once. It reads a JSON list of what to build from stdin, and writes a JSON list of
problems to stdout, null where there is none.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from trainables import config as domains
from trainables.data.download import keras_home
from trainables.errors import WeightsError
from trainables.families.by_name import family

_ADDRESS: Final = re.compile(r"https?://\S+?/([^/\s:]+\.h5)")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One model: a family's name, its configuration as JSON, and the data's shape and number of classes."""

    family: str
    config_json: str
    image_shape: tuple[int, int, int]
    classes: int


def problems(wanted: Sequence[Wanted]) -> list[str | None]:
    """What is wrong with each model, in a sentence; takes ten seconds and more, as Keras is imported for it.

    Raises:
        WeightsError: if the process itself failed.
    """
    asked = json.dumps([asdict(one) for one in wanted])
    command = [sys.executable, "-c", "from trainables.worker.model_check import main; main()"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no output")
        raise WeightsError(f"the process that checks models failed: {last}")
    found: list[str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Builds what stdin asks for."""
    from trainables.worker.warm_up import imports

    wanted = [Wanted(**one) for one in json.load(sys.stdin)]
    imports()
    sys.stdout.write("\n" + json.dumps([_problem(one) for one in wanted]) + "\n")


def _problem(wanted: Wanted) -> str | None:
    module = family(wanted.family)
    config = domains.make(module.Config, json.loads(wanted.config_json))
    try:
        module.build(config, tuple(wanted.image_shape), wanted.classes)
    except (WeightsError, ValueError) as error:  # Keras': layers that these images do not fit
        return " ".join(str(error).split())
    except Exception as error:
        address = _ADDRESS.search(str(error))
        if type(error) is not Exception or address is None:
            raise
        return (
            f"ImageNet's weights could not be downloaded from {address[0]}; put that file at "
            f"{keras_home() / 'models' / address[1]} yourself"
        )
    return None
