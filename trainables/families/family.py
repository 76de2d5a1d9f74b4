"""Makes a family: `classifier`, `trains`; says what a family is: `name_of`, `config_of`, `build_of`, `file_of`."""

import contextlib
import dataclasses
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from layersweep.records.values import Epoch, NetworkSummary
from trainables import config as domains
from trainables.data.dataset import Data
from trainables.errors import ConfigError
from trainables.keys import Keys
from trainables.references import MAIN

if TYPE_CHECKING:
    import keras

    from trainables.training.loop import Build

Train = Callable[..., Iterator[NetworkSummary | Epoch]]

Tensor = Any
"""A `keras.KerasTensor`: Keras has no types."""

_KINDS: Final = (int, float, str, bool)

_RIGHT_FORM: Final = (
    "write `def {name}(config: Config, image_shape, classes):` with `class Config(ls.Keys)`, a frozen dataclass"
)


def classifier(layers: Callable[[Any, Tensor], Tensor]) -> "Build":
    """The `build` of a family whose layers stand between images scaled to 0 to 1 and a softmax over the classes.

    Args:
        layers: adds the layers: `layers(config, x)`, with `config` annotated as a Config. The model is named after the
            module of this function.
    """
    name = layers.__module__.rpartition(".")[2]

    def build(config: Any, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
        """The model, not compiled: takes uint8 images (batch, *image_shape), returns probabilities (batch, classes)."""
        import keras

        from trainables.layers.preprocessing import inputs

        image, x = inputs(config, image_shape)
        x = layers(config, x)
        return keras.Model(image, keras.layers.Dense(classes, activation="softmax", dtype="float32")(x), name=name)

    build.__module__ = layers.__module__
    vars(build)["__wrapped__"] = layers  # whose first parameter says the Config
    return build


def trains(build: "Build", config_type: type[Any] | None = None) -> Train:
    """The `train` of a family; it counts as a function of the module of `build`, and imports Keras when it is called.

    Args:
        build: makes the model, not compiled: `build(config, image_shape, classes)`; its first parameter is annotated as
            a Config.
        config_type: the Config, if the first parameter does not say it.
    """

    def train(config: Any, data: Data, **options: Any) -> Iterator[NetworkSummary | Epoch]:
        """Trains the family; the options are the fields of `trainables.training.loop.TrainingOptions`."""
        from trainables.training.loop import TrainingOptions, run

        return run(build, config, data, TrainingOptions(**options))

    train.__module__, train.__qualname__ = _function_of(build).__module__, "train"
    if config_type is None:
        with contextlib.suppress(ConfigError):  # `config_of` says it, in one line and where it is read
            config_type = _annotated_config(build, sys._getframe(1).f_locals)
    vars(train).update(build=build, Config=config_type)
    return train


def build_of(train: Train) -> "Build | None":
    """The function that makes the model of a `train`; None for one that `trains` did not make."""
    return getattr(train, "build", None)


def config_of(train: Train) -> type[Keys]:
    """The Config of a `train`: what the first parameter of its `build` is annotated as, or else its own.

    Raises:
        ConfigError: naming the function and its place, if there is no such annotation.
    """
    build = build_of(train)
    if build is None and callable(train) and not _takes_options(train):
        raise ConfigError(f"train={place_of(train)} makes a network, and does not train; valid: ls.trains(it)")
    config_type: type[Keys] = getattr(train, "Config", None) or _annotated_config(build or train)
    if build is not None:
        _check_keys(config_type, place_of(build))
        _check_parameters(build)
    return config_type


def _takes_options(train: Train) -> bool:
    """Whether a function takes a seed, or any option: then it trains."""
    parameters = inspect.signature(train).parameters
    return "seed" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def name_of(train: Train) -> str:
    """The name of the family of a `train`: its row in the table of keras.applications, or else its module.

    It is empty for a family of the script that runs, which is named after its sweep.
    """
    row, module = getattr(train, "__qualname__", "").rpartition(".")[0], getattr(train, "__module__", MAIN)
    if row.isidentifier():
        return row
    return "" if module == MAIN else module.rpartition(".")[2]


def place_of(function: Callable[..., Any]) -> str:
    """A function in words: its name, its file and its line."""
    plain, file = _function_of(function), file_of(function)
    if not isinstance(plain, FunctionType):
        return repr(function)
    return f"{plain.__name__} ({'a cell' if file is None else file.name}, line {plain.__code__.co_firstlineno})"


def file_of(function: Callable[..., Any]) -> Path | None:
    """The file in which a function is written; None for a notebook's cell."""
    plain = _function_of(function)
    file = Path(plain.__code__.co_filename) if isinstance(plain, FunctionType) else Path()
    return file.absolute() if file.is_file() else None


def _function_of(build: Callable[..., Any]) -> Any:
    """The Python function behind a decorated function, a partial one, a method or an object that can be called."""
    function = inspect.unwrap(build)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if not inspect.isroutine(function) and callable(function):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def _annotated_config(build: Callable[..., Any], local_names: Mapping[str, Any] | None = None) -> type[Keys]:
    """What the first parameter of a function is annotated as.

    Raises:
        ConfigError: if there is no annotation, or it is no class with keys.
    """
    if not callable(build):
        raise ConfigError(f"train={build!r} is not valid; valid: ls.trains(build), or the name of a family")
    signature = inspect.signature(inspect.unwrap(build))
    first = next(iter(signature.parameters.values()), None)
    place, form = place_of(build), _RIGHT_FORM.format(name=getattr(_function_of(build), "__name__", "build"))
    if first is None or first.annotation is inspect.Parameter.empty:
        parameter = "has no parameter" if first is None else f"has no annotation of its first parameter {first.name!r}"
        raise ConfigError(f"{place} {parameter}: {form}")
    hint = _resolved(first.annotation, _function_of(build), local_names or {})
    if not inspect.isclass(hint) or not hasattr(hint, "__dataclass_fields__"):
        raise ConfigError(f"{place}: the annotation {first.annotation!r} of {first.name!r} is no Config: {form}")
    return typing.cast("type[Keys]", hint)


def _check_parameters(build: Callable[..., Any]) -> None:
    """Refuses a function that cannot take what `build` is called with.

    Raises:
        ConfigError: naming the function, its place, and the right form.
    """
    signature = inspect.signature(build, follow_wrapped=False)
    try:
        signature.bind("config", "image_shape", "classes")
    except TypeError as error:
        form = _RIGHT_FORM.format(name=getattr(_function_of(build), "__name__", "build"))
        raise ConfigError(f"{place_of(build)} is called with three arguments, but has {signature}: {form}") from error


def _check_keys(config_type: type[Keys], place: str) -> None:
    """Refuses a Config that is no dataclass of keys.

    Raises:
        ConfigError: naming the class or its key, and the right form.
    """
    name, example = f"the Config {config_type.__name__} of {place}", 'ls.between(8, 1, 512, "what it is")'
    if not issubclass(config_type, Keys):
        raise ConfigError(f"{name} has not the keys of a training: write `class {config_type.__name__}(ls.Keys)`")
    if "__dataclass_params__" not in vars(config_type):
        raise ConfigError(f"{name} is no dataclass: write `@dataclass(frozen=True, kw_only=True)` above it")
    try:
        kinds = domains.types(config_type)
    except NameError as error:
        raise ConfigError(f"{name} has an annotation that means nothing: {error}") from error
    for key in dataclasses.fields(config_type):
        if "domain" not in key.metadata:
            raise ConfigError(f"{name}: the key {key.name!r} does not say its values: write `{key.name} = {example}`")
        if kinds[key.name] not in _KINDS:
            kind = getattr(kinds[key.name], "__name__", kinds[key.name])
            raise ConfigError(f"{name}: the key {key.name!r} is of type {kind}; valid: int, float, str or bool")


def _resolved(annotation: Any, function: Any, local_names: Mapping[str, Any]) -> Any:
    """An annotation as it is, or what its text means where the function is defined; None if it means nothing there."""
    if not isinstance(annotation, str):
        return annotation
    global_names = getattr(function, "__globals__", {})
    closure = inspect.getclosurevars(function).nonlocals if isinstance(function, FunctionType) else {}
    try:
        return typing.get_type_hints(
            SimpleNamespace(__annotations__={"config": annotation}), dict(global_names), {**local_names, **closure}
        )["config"]
    except (NameError, AttributeError, SyntaxError, TypeError):
        return None
