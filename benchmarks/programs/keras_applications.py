"""Asks Keras about each network of keras.applications, and builds each as a family.

`python -m benchmarks.programs.keras_applications table` writes `trainables/families/application_table.py`: run it when
a new Keras has other networks. `... evidence [FAMILY ...]` builds each of its families once for images of 32x32, or its
smallest, and prints a table of their sizes.
"""

import inspect
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trainables.hardware import one_thread

_FILE: Final = Path(__file__).parents[2] / "trainables" / "families" / "application_table.py"
_SIZES: Final = range(1, 129)
_CLASSES: Final = 10
_IMAGE_SIZE: Final = 32
_ROWS: Final = "ROWS: Final = (\n"
"""The line of the table's file before its rows."""


def functions() -> dict[str, Callable[..., Any]]:
    """The functions of keras.applications by the names of their families."""
    import keras

    return dict(sorted((family_name(n), f) for n, f in vars(keras.applications).items() if inspect.isfunction(f)))


def family_name(function: str) -> str:
    """The name of a family: `EfficientNetV2B0` is `efficientnet_v2_b0`, `ResNet50` is `resnet50`."""
    joined = re.sub("NeXt|Net", lambda match: match[0].lower(), function)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", joined).lower()


def preprocessed(function: Callable[..., Any], images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the `preprocess_input` of a function's module makes of images."""
    module: Any = inspect.getmodule(function)
    return np.asarray(module.preprocess_input(images.copy()), np.float32)


def preprocessing_name(function: Callable[..., Any]) -> str:
    """The name of the preprocessing in `applications` that is that of Keras.

    Raises:
        LookupError: if there is none.
    """
    from trainables.families import applications
    from trainables.families.application_table import OWN

    images = np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
    expected = preprocessed(function, images)
    if np.array_equal(expected, images):
        return OWN
    for layers in (applications.minus_one_to_one, applications.bgr_around_zero, applications.by_deviation):
        if np.allclose(_apply(layers, images), expected, atol=1e-4):
            return layers.__name__
    raise LookupError(f"{function.__name__}: no preprocessing in trainables/families/applications.py is Keras'")


def _apply(layers: Callable[[Any], Any], images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    import keras

    image = keras.Input(images.shape[1:])
    return np.asarray(keras.Model(image, layers(image))(images))


def minimum_size(function: Callable[..., Any]) -> int:
    """The smallest image from which a function makes a base, found by trying.

    Raises:
        LookupError: if no size of those that are tried will do.
    """
    for size in _SIZES:
        try:
            model = function(include_top=False, weights=None, input_shape=(size, size, 3))
        except ValueError:
            continue
        if all(model.output.shape[1:]):
            return size
    raise LookupError(f"{function.__name__}: no size up to {_SIZES[-1]}")


def write_table() -> None:
    """Writes the table of the families that have no row of their own in `applications`."""
    from trainables.families import applications

    own = {published.name for published in applications.PUBLISHED} | {"mobilenet_v2"}
    rows = []
    for name, function in functions().items():
        if name not in own:
            alpha = ", has_alpha=True" if "alpha" in inspect.signature(function).parameters else ""
            preprocessing = preprocessing_name(function)
            kind = "OWN" if preprocessing == "own" else f'"{preprocessing}"'
            rows.append(f'    Row("{name}", "{function.__name__}", {minimum_size(function)}, {kind}{alpha}),\n')
            sys.stdout.write(rows[-1])
            sys.stdout.flush()
    head = _FILE.read_text().partition(_ROWS)[0]
    _FILE.write_text(head + _ROWS + "".join(rows) + ")\n")


def write_evidence(names: Sequence[str]) -> None:
    """Builds each of these families, without memory for its weights, prints a table, and ends this process."""
    import keras

    from trainables.families.by_name import family
    from trainables.measures.model_measures import model_size

    columns = ("family", "smallest image", "parameters", "layers", "MFLOPs", "seconds to build")
    sys.stdout.write(f"| {' | '.join(columns)} |\n| --- |{' ---: |' * (len(columns) - 1)}\n")
    with keras.StatelessScope():  # at its end Keras would make all weights
        for name in names:
            config_type = family(name).Config
            size = max(_IMAGE_SIZE, config_type.minimum_size)
            start = time.perf_counter()
            model = family(name).build(config_type(image_size=size), (28, 28, 1), _CLASSES)
            seconds = time.perf_counter() - start
            network = model_size(model, seconds_build=seconds)
            sizes = f"{network.parameters:,} | {len(network.layers)} | {network.flops / 1e6:,.0f}"
            sys.stdout.write(f"| `{name}` | {config_type.minimum_size} | {sizes} | {seconds:.1f} |\n")
            sys.stdout.flush()
        os._exit(0)


def main() -> None:
    """Runs one of the commands of this file."""
    one_thread()
    match sys.argv[1:]:
        case ["table"]:
            write_table()
        case ["evidence", *names]:
            write_evidence(names or [*functions()])
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
