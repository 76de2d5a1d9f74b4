"""What functions and classes refer to: the code of a layer, the source of a notebook's cells."""

import linecache
import sys
import types

import pytest

from trainables.references import class_code, is_importable, is_installed, own_source, references

LAYER = """
FACTOR = {factor}


def scaled(x):
    return x * FACTOR


class Layer:
    {comment}

    def __init__(self, units=3):
        self.units = units

    def call(self, x):
        return scaled(x) + {shift}
"""


def layer(name="cell", factor=2, shift=1, comment='"""A layer."""'):
    module = types.ModuleType(name)
    exec(compile(LAYER.format(factor=factor, shift=shift, comment=comment), f"{name}.py", "exec"), vars(module))
    return module.Layer


def test_the_code_of_a_layer_is_what_it_computes():
    code = class_code(layer())
    assert class_code(layer(name="other_cell")) == code
    assert class_code(layer(comment="pass")) == code
    assert class_code(layer(shift=2)) != code
    assert class_code(layer(factor=3)) != code  # a number that only a helper uses


@pytest.mark.parametrize("beside", ["scale.FACTOR", "scale.scaled(1)"])
def test_the_code_of_a_layer_covers_what_it_uses_of_a_module(beside, tmp_path):
    codes = []
    for factor in (2, 3, 3):
        other, module = types.ModuleType("scale"), types.ModuleType("cell")
        other.__file__ = str(tmp_path / "scale.py")
        exec(f"FACTOR = {factor}\ndef scaled(x):\n    return x * FACTOR\n", vars(other))
        module.scale = other
        exec(f"class Layer:\n    def call(self, x):\n        return x * {beside}\n", vars(module))
        codes.append(class_code(module.Layer))
    assert codes[0] != codes[1] == codes[2]


@pytest.mark.parametrize(("value", "installed"), [(pytest.Item, True), (types.ModuleType, True), (layer, False)])
def test_classes_of_packages_are_installed(value, installed):
    assert is_installed(value) == installed


def test_a_script_cannot_be_imported():
    assert [is_importable(name) for name in ("__main__", "nothing_of_this_name", "json", "numpy.linalg")] == [
        False, False, True, True,
    ]  # fmt: skip


def test_references_are_those_of_inner_functions_too():
    outer = 1

    def function(number=2):
        def inner():
            return layer, outer, number

        return inner

    assert {(each.kind, each.name) for each in references(function)} == {
        ("the variable of an outer function", "outer"),
        ("the global variable", "layer"),
        ("the default of the parameter", "number"),
    }


def cell(source, name, module):
    """Runs a notebook's cell: its source is known by its name, as in IPython."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), vars(module))


def test_the_source_of_cells_covers_what_they_use(monkeypatch):
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    cell("def build(config):\n    return helper(config) * WIDTH\n", "cell-1", module)
    cell("def helper(config):\n    return config + 1\n", "cell-2", module)
    sources = []
    for width, third in ((3, ""), (4, ""), (4, "def helper(config):\n    return config + 2\n")):
        module.WIDTH = width
        cell(third, "cell-3", module)
        sources.append(own_source([module.build]))
    assert len(set(sources)) == 3
    assert b"def build(config)" in sources[0]
    assert b"def helper(config)" in sources[0]
