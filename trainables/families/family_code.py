"""The code of a family on its way to other processes: `FamilyCode`.

What stands in the script itself, in a notebook's cell or in a file that cannot be imported travels by value; what can
be imported travels by its name. A slot's actor passes it on as bytes, and never imports what a user imports.
"""

import contextlib
import hashlib
import importlib
import inspect
import pickle
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import trainables
from trainables.errors import ConfigError
from trainables.families import by_name
from trainables.families.family import Train, build_of, config_of, file_of, name_of, place_of
from trainables.keys import Keys
from trainables.references import CANNOT_PICKLE, MAIN, culprit, is_importable, largest, own_source

if TYPE_CHECKING:
    from trainables.training.loop import Build

_PACKAGE: Final = Path(trainables.__file__).parent

LARGEST_BYTES: Final = 16 << 20
"""What a family's code may take: it travels with each trial."""


@dataclass(frozen=True, kw_only=True)
class FamilyCode:
    """A family, sealed: `train`, `Config` and `build` are loaded when they are first used, once in each process.

    So two trials of a family have the same `build`, and the second reuses the traced model of the first.

    Attributes:
        name: the family's name.
        pickled: its code.
        paths: folders that the modules of its user are imported from, the script's own first.
        file: the file of its `build`; None for a notebook's cells.
        used: stands for the source and the values that its functions use; empty for a family of this project.
        has_build: whether its `train` was made by `trains`, so that its networks can be built without training.
    """

    name: str
    pickled: bytes = field(repr=False)
    paths: tuple[str, ...] = field(default=(), repr=False)
    file: str | None = field(default=None, repr=False)
    used: str = field(default="", repr=False)
    has_build: bool = field(default=True, repr=False)

    @classmethod
    def of(cls, train: Train, main_name: str) -> "FamilyCode":
        """Seals the family of a `train`; one of the script that runs has the name `main_name`.

        Raises:
            ConfigError: if something of it cannot be sent, or is too large, with the name of the variable.
        """
        config_type = config_of(train)
        import cloudpickle  # not at the top: a laptop that follows a sweep does not have it

        contents = [_annotations(config_type), _registered_objects(), train, config_type]
        functions = [build_of(train) or train, config_type]
        with by_value(*functions):
            try:
                pickled = cloudpickle.dumps(contents)
            except CANNOT_PICKLE as error:
                raise ConfigError(f"{place_of(functions[0])} cannot be sent: {culprit(functions, error)}") from error
            if len(pickled) > LARGEST_BYTES:
                raise ConfigError(f"{place_of(functions[0])} is too large to be sent: {largest(functions)}")
        file = file_of(functions[0])
        return cls(
            name=name_of(train) or main_name,
            pickled=pickled,
            paths=own_folders(),
            file=None if file is None else str(file),
            used="" if _is_ours(file) else hashlib.sha256(own_source(functions)).hexdigest(),
            has_build=build_of(train) is not None,
        )

    @classmethod
    def named(cls, name: str) -> "FamilyCode":
        """Seals a family of this project.

        Raises:
            ConfigError: if there is no family with this name.
        """
        return cls.of(by_name.family(name).train, name)

    @property
    def is_ours(self) -> bool:
        """Whether it is a family of this project."""
        return _is_ours(None if self.file is None else Path(self.file))

    @property
    def digest(self) -> str:
        """Stands for its content."""
        return hashlib.sha256(self.pickled).hexdigest()

    @property
    def train(self) -> Train:
        """The function that trains it."""
        train: Train = self._loaded[0]
        return train

    @property
    def Config(self) -> type[Keys]:  # noqa: N802 (as in a family's module)
        """Its Config."""
        config_type: type[Keys] = self._loaded[1]
        return config_type

    @property
    def build(self) -> "Build":
        """The function that makes its model.

        Raises:
            ConfigError: if its `train` was not made by `trains`.
        """
        build = build_of(self.train)
        if build is None:
            raise ConfigError(f"family {self.name!r} has no build")
        return build

    @property
    def _loaded(self) -> tuple[Train, type[Keys]]:
        digest = self.digest
        if digest not in _LOADED:
            sys.path[:0] = [path for path in self.paths if path not in sys.path]
            importlib.invalidate_caches()
            _LOADING.append(digest)
            try:
                annotations, _, train, config_type = pickle.loads(self.pickled)
            finally:
                _LOADING.remove(digest)
            for owner, hints in annotations:
                owner.__annotations__ = hints
            _LOADED[digest] = (train, config_type)
        return _LOADED[digest]


def check_not_loading() -> None:
    """Refuses to run a sweep while this process imports a family of a user's: a training process never runs one.

    Raises:
        ConfigError: if it does.
    """
    if _LOADING:
        raise ConfigError(
            "a module runs a sweep when it is imported; write `if __name__ == '__main__':` above its ls.main(...)"
        )


_LOADING: Final[list[str]] = []
"""What this process loads now, by digest."""


def _is_ours(file: Path | None) -> bool:
    return file is not None and file.is_relative_to(_PACKAGE)


_LOADED: Final[dict[str, tuple[Train, type[Keys]]]] = {}
"""What this process has loaded, by digest."""


def own_folders() -> tuple[str, ...]:
    """The folders of sys.path that do not belong to Python or to installed packages: a script's own, the first."""
    installed = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
    folders = [Path(entry).resolve() for entry in sys.path if not entry or Path(entry).is_dir()]
    own = [folder for folder in folders if not any(folder.is_relative_to(prefix) for prefix in installed)]
    return tuple(dict.fromkeys(map(str, own)))


@contextlib.contextmanager
def by_value(*functions: Any) -> Iterator[None]:
    """While inside, modules of these functions that cannot be imported are pickled by value."""
    import cloudpickle

    names = {getattr(function, "__module__", MAIN) for function in functions} - {MAIN}
    modules = [module for name in names if (module := sys.modules.get(name)) and not is_importable(name)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _annotations(config_type: type[Any]) -> list[tuple[type[Any], dict[str, Any]]]:
    """The annotations of each class that travels by value, without text: its module's names stay in this process."""
    return [
        (
            owner,
            {key: hint for key, hint in typing.get_type_hints(owner).items() if key in inspect.get_annotations(owner)},
        )
        for owner in config_type.__mro__
        if not is_importable(owner.__module__)
    ]


@dataclass(frozen=True)
class _Registered:
    """A class or function that Keras must know by name to load a network; unpickling registers it."""

    name: str
    content: Any

    def __reduce__(self) -> tuple[Any, ...]:
        return register, (self.name, self.content)


def register(name: str, content: Any) -> None:
    """Makes Keras know a class or function by the name under which its user registered it."""
    import keras

    package, separator, own_name = name.partition(">")
    if separator:
        keras.saving.register_keras_serializable(package=package, name=own_name)(content)
    else:
        keras.saving.get_custom_objects()[name] = content


def _registered_objects() -> list[_Registered]:
    """What the script itself has registered with Keras; an imported module registers its own when it is imported."""
    keras: ModuleType | None = sys.modules.get("keras")
    if keras is None:
        return []
    registered = keras.saving.get_custom_objects()
    return [_Registered(name, each) for name, each in registered.items() if not is_importable(each.__module__)]
