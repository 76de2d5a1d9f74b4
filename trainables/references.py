"""What a function of a script or notebook refers to: what of it cannot be sent, `culprit`; its code, `own_source`."""

import hashlib
import inspect
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any, Final

CANNOT_PICKLE: Final = (
    TypeError, AttributeError, ValueError, NotImplementedError, RecursionError, OSError, RuntimeError,
    pickle.PicklingError,
)  # fmt: skip
"""What an object that cannot be pickled raises."""

MAIN: Final = "__main__"
"""The module of a script that runs, and of a notebook's cells."""

_MIB: Final = 1 << 20
_PLAIN: Final = (bool, int, float, str, bytes, type(None))


def is_importable(module: str) -> bool:
    """Whether another process can import a module of this name."""
    top = module.partition(".")[0]
    finders = [finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec")]
    return module != MAIN and any(find(top, None) is not None for find in finders)


def is_installed(value: Any) -> bool:
    """Whether a class or function belongs to Python, to an installed package or to this project."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if module is None or module.__name__ == MAIN:
        return False
    return _is_installed_file(file)


def _is_installed_file(file: str | None) -> bool:
    folders = (Path(sys.base_prefix), Path(__file__).parent)
    return file is None or "site-packages" in file or any(map(Path(file).is_relative_to, folders))


@dataclass(frozen=True)
class Reference:
    """A variable that a function uses: where it is from, its name and its value."""

    kind: str
    name: str
    value: Any

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} ({type(self.value).__name__})"


def references(function: Any) -> Iterator[Reference]:
    """The variables that a function, or a class with its methods, uses from outside; modules are left out."""
    if inspect.isclass(function):
        for name, member in vars(function).items():
            plain = getattr(member, "__func__", member)
            if isinstance(plain, FunctionType):
                yield from references(plain)
            elif not name.startswith("__"):
                yield Reference(f"the attribute of class {function.__name__}", name, plain)
        return
    if isinstance(wrapped := getattr(function, "__wrapped__", None), FunctionType):
        yield from references(wrapped)
    plain = getattr(function, "__func__", function)
    if not isinstance(plain, FunctionType):
        return
    for name, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True):
        yield from (Reference("the variable of an outer function", name, value) for value in _contents(cell))
    for name in dict.fromkeys(_names(plain.__code__)):
        value = plain.__globals__.get(name)
        if name in plain.__globals__ and not isinstance(value, ModuleType | BuiltinFunctionType):
            yield Reference("the global variable", name, value)
    for parameter in inspect.signature(plain, follow_wrapped=False).parameters.values():
        if parameter.default is not parameter.empty:
            yield Reference("the default of the parameter", parameter.name, parameter.default)


def _contents(cell: CellType) -> Iterator[Any]:
    try:
        yield cell.cell_contents
    except ValueError:  # a variable that has no value yet
        return


def _names(code: CodeType) -> Iterator[str]:
    """The names that code uses, that of functions and classes inside it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _reachable(functions: Sequence[Any]) -> Iterator[tuple[Any, Reference]]:
    """Each variable that functions and classes which travel by value use, with its user, the deepest last."""
    waiting, known = list(functions), set(map(id, functions))
    while waiting:
        user = waiting.pop(0)
        for reference in references(user):
            yield user, reference
            value = reference.value
            module = getattr(value, "__module__", None)
            is_code = inspect.isclass(value) or isinstance(value, FunctionType)
            if is_code and id(value) not in known and not is_importable(module or MAIN):
                known.add(id(value))
                waiting.append(value)


def culprit(functions: Sequence[Any], error: BaseException) -> str:
    """What of these functions cannot be sent, and what to do; `error` is what pickling them raised."""
    problems = [(user, each) for user, each in _reachable(functions) if _bytes_of(each.value) is None]
    if not problems:
        return f"{' '.join(str(error).split())}; make it inside build"
    user, reference = problems[-1]
    return f"{getattr(user, '__name__', user)} uses {reference}; make or open it inside build"


def largest(functions: Sequence[Any]) -> str:
    """The largest variable of these functions, and what to do."""
    sizes = [(len(_bytes_of(each.value) or b""), str(each)) for _, each in _reachable(functions)]
    size, reference = max(sizes, default=(0, "its code"))
    return f"{reference} takes {size / _MIB:,.0f} MiB; make it inside build, or read it there from a file"


def _bytes_of(value: Any) -> bytes | None:
    """A value as bytes; None if it cannot be pickled."""
    import cloudpickle  # not at the top: a laptop that follows a sweep does not have it

    try:
        pickled: bytes = cloudpickle.dumps(value)
    except CANNOT_PICKLE:
        return None
    return pickled


def own_source(functions: Sequence[Any]) -> bytes:
    """The source of functions and classes of a notebook, and of all that they use from other cells, as bytes."""
    values = [*functions, *(reference.value for _, reference in _reachable(functions))]
    return b"\0".join(dict.fromkeys(map(_source, values)))


def _source(value: Any) -> bytes:
    if inspect.isclass(value) or isinstance(value, FunctionType):
        try:
            return inspect.getsource(value).encode()
        except (OSError, TypeError):
            return getattr(getattr(value, "__code__", None), "co_code", b"") + value.__qualname__.encode()
    return _bytes_of(value) or repr(type(value)).encode()


def class_code(kind: Any) -> str:
    """Stands for what a function or the methods of a class compute, with all functions and numbers that they use."""
    return hashlib.sha256(repr(_content(kind, set())).encode()).hexdigest()


def _content(value: Any, known: set[int]) -> Any:
    """The code of a class or function of a user's and of all that it uses, or a plain value, as nested tuples."""
    plain = getattr(value, "__func__", value)
    if isinstance(plain, property):
        plain = plain.fget
    if id(plain) in known or is_installed(plain):
        return getattr(plain, "__qualname__", type(plain).__qualname__)
    if isinstance(plain, FunctionType | type):
        known.add(id(plain))
    if isinstance(plain, type):
        members = {name: each for name, each in vars(plain).items() if not name.startswith("__") or name == "__init__"}
        bases = tuple(_content(base, known) for base in plain.__bases__)
        return bases, tuple((name, _content(each, known)) for name, each in sorted(members.items()))
    if isinstance(plain, FunctionType):
        used = [*references(plain), *_of_modules(plain)]
        return _code(plain.__code__), tuple((each.name, _content(each.value, known)) for each in used)
    if isinstance(plain, dict):
        return tuple((repr(key), _content(each, known)) for key, each in plain.items())
    if isinstance(plain, list | tuple):
        return tuple(_content(each, known) for each in plain)
    return repr(plain) if isinstance(plain, _PLAIN) else type(plain).__qualname__


def _of_modules(function: FunctionType) -> Iterator[Reference]:
    """What a function may use of a user's modules, such as `beside.FACTOR`."""
    names = dict.fromkeys(_names(function.__code__))
    for module in (function.__globals__.get(name) for name in names):
        if isinstance(module, ModuleType) and not _is_installed_file(getattr(module, "__file__", None)):
            members = vars(module)
            yield from (Reference("the attribute", name, members[name]) for name in names if name in members)


def _code(code: CodeType) -> tuple[Any, ...]:
    """What code does, without its lines, its file and its names of functions."""
    constants = [
        _code(each) if isinstance(each, CodeType) else sorted(map(repr, each)) if isinstance(each, frozenset) else each
        for each in code.co_consts
    ]
    return code.co_code, code.co_names, repr(constants)
