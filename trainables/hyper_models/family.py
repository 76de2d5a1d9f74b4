"""A KerasTuner hypermodel as a family: `hyper_model(build)`; its hyperparameters are the keys.

The hypermodel's own networks take images of 0 to 1, or of 0 to 255 if they begin with a Rescaling layer. Their layers
are put after ours, which prepare the images; docs/keras_tuner.md says what happens to the rest.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from layersweep.records.values import Epoch, NetworkSummary
from trainables.config import Between, OneOf
from trainables.data.dataset import Data
from trainables.errors import ConfigError
from trainables.families.family import place_of
from trainables.hyper_models.discovery_process import discovered
from trainables.hyper_models.space import HyperConfig, HyperSpace, config_type

if TYPE_CHECKING:
    import keras

_HP_CALL: Final = re.compile(r"""\bhp\.(?:Int|Float|Choice|Boolean|Fixed)\(\s*["']([^"']+)["']""")


def hyper_model(model: Any, *, rescaled: bool | None = None) -> "HyperFamily":
    """The `train` of a hypermodel: KerasTuner's `build(hp)` or HyperModel, or the model part of an Optuna objective.

    Its hyperparameters become keys, and their ranges the tuned space of a sweep. Optimizer, learning rate and momentum
    of its `compile()` are the defaults; a hyperparameter that sets one of them is that key.

    Args:
        model: a function `build(hp)`, or a HyperModel, which is an instance.
        rescaled: whether its networks take images of 0 to 1; else they take images of 0 to 255. Unless given, they
            take images of 0 to 255 if they begin with a Rescaling layer for these.
    """
    return HyperFamily(model, rescaled)


class HyperBuild:
    """The `build` of a family: makes a network of the hypermodel, and puts its layers after those that prepare images.

    Attributes:
        model: the hypermodel.
        rescaled: see `hyper_model`.
    """

    def __init__(self, model: Any, rescaled: bool | None) -> None:
        self.model, self.rescaled = model, rescaled

    @property
    def __wrapped__(self) -> Any:
        """The user's own function, whose name and place messages give."""
        return _own_build(self.model)

    def __call__(self, config: HyperConfig, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
        """The model, not compiled: takes uint8 images (batch, *image_shape), returns probabilities (batch, classes).

        Raises:
            ConfigError: if the hypermodel asks for a hyperparameter that is no key, takes other images, or its
                compile() says what no key stands for.
        """
        import keras

        from trainables.hyper_models import compiled, flat_model
        from trainables.hyper_models.hyperparameters import Hyperparameters
        from trainables.layers.preprocessing import pictures

        hp = Hyperparameters()
        hp.values = config.own_values
        with compiled.optimizers_allowed():
            own = _function(self.model)(hp)
        known = {each.name for each in config.hyper_space.hyperparameters}
        if unknown := {each.name for each in hp.space} - known:
            raise ConfigError(
                f"{place_of(self)} asks for {', '.join(sorted(unknown))}, which earlier builds did not: its "
                "hyperparameters change between builds; valid: hyperparameters that depend on values of hp alone"
            )
        if not isinstance(own, keras.Model):
            raise ConfigError(f"{place_of(self)} returns {type(own).__name__}; valid: a keras.Model")
        compiled.compiled(own)
        image, x = pictures(config, image_shape)
        rescaled = not flat_model.rescales(own) if self.rescaled is None else self.rescaled
        x = keras.layers.Rescaling(1 / 255 if rescaled else 1.0, dtype="float32", name=flat_model.PREPROCESSING)(x)
        outputs = flat_model.append(own, x)
        if compiled.takes_logits(own):
            outputs = keras.layers.Softmax(dtype="float32", name=flat_model.PROBABILITIES)(outputs)
        elif outputs.dtype != "float32":
            outputs = keras.layers.Activation("linear", dtype="float32", name=flat_model.PROBABILITIES)(outputs)
        return keras.Model(image, outputs, name="hyper_model")


class HyperFamily:
    """A family of a hypermodel; it trains like one that `trains` makes.

    Attributes:
        build: makes its models.
    """

    def __init__(self, model: Any, rescaled: bool | None) -> None:
        self.build = HyperBuild(model, rescaled)
        self.__module__ = getattr(_own_build(model), "__module__", __name__)
        self.__qualname__ = "train"

    def __call__(self, config: HyperConfig, data: Data, **options: Any) -> Iterator[NetworkSummary | Epoch]:
        """Trains the family; the options are the fields of `trainables.training.loop.TrainingOptions`."""
        from trainables.training.loop import TrainingOptions, run

        return run(self.build, config, data, TrainingOptions(**options))

    @cached_property
    def space(self) -> HyperSpace:
        """The hyperparameters, which are discovered in a process of its own.

        Raises:
            ConfigError: if it is no hypermodel, or none that can be trained here.
        """
        _check(self.build.model)
        return discovered(self.build.model)

    @property
    def Config(self) -> type[HyperConfig]:  # noqa: N802 (as in a family's module)
        """Its Config."""
        return config_type(self.space)

    @property
    def searched(self) -> Mapping[str, OneOf | Between]:
        """What a search tries of each key, in a sweep that has no tuned spaces of its own."""
        return self.space.searched

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know, in sentences."""
        return (*self.space.remarks, *_ignored(self.build.model))


def _function(model: Any) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = model.build if hasattr(model, "build") else model
    return function


def _own_build(model: Any) -> Any:
    """The function that a user wrote."""
    return type(model).build if hasattr(type(model), "build") else model


def _check(model: Any) -> None:
    """Refuses what is no hypermodel.

    Raises:
        ConfigError: says what is valid.
    """
    right_form = "valid: ls.hyper_model(build) with `def build(hp)`, or ls.hyper_model(MyHyperModel())"
    if inspect.isclass(model):
        raise ConfigError(f"ls.hyper_model({model.__name__}) got a class; valid: ls.hyper_model({model.__name__}())")
    if type(model).__module__.partition(".")[0] == "autokeras":
        raise ConfigError(
            f"ls.hyper_model got {type(model).__name__} of AutoKeras; valid: the family autokeras, which searches its "
            "networks (docs/nas.md)"
        )
    if not callable(model) and not hasattr(model, "build"):
        raise ConfigError(f"ls.hyper_model got {model!r}; {right_form}")
    parameters = [
        each for each in inspect.signature(_function(model)).parameters.values() if each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip
    if len(parameters) != 1:
        place = place_of(_own_build(model))
        raise ConfigError(f"{place} takes {len(parameters)} arguments instead of hp alone; {right_form}")


def _ignored(model: Any) -> tuple[str, ...]:
    """A sentence about a `fit` of the hypermodel's own, which is not used."""
    fit = getattr(type(model), "fit", None)
    if fit is None or fit.__module__.startswith("keras_tuner"):
        return ()
    try:
        names = [*dict.fromkeys(_HP_CALL.findall(inspect.getsource(fit)))]
    except OSError:  # a class without a file
        names = []
    parts = f", and nor are its hyperparameters {', '.join(names)}" if names else ""
    advice = "; valid: --set batch_size=32,64" if "batch_size" in names else ""
    return (f"fit() of {type(model).__name__} is not used{parts}{advice}",)
