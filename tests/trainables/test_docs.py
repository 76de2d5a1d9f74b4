"""docs/add_a_model.md and docs/add_a_dataset.md, followed word for word; tests/sweeps does add_a_question.md."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from trainables.data.dataset import prepare
from trainables.hardware import one_thread

one_thread()


def the_file_of(page):
    """The path and the content of the file in a page."""
    text = (ROOT / "docs" / page).read_text()
    path, code = re.search(r"`(trainables/[\w/]+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL).groups()
    return path, code


@pytest.fixture
def add_page(tmp_path, monkeypatch):
    """Adds a page's file to its package."""

    def add(page):
        path, code = the_file_of(page)
        package = importlib.import_module(str(Path(path).parent).replace("/", "."))
        folder = tmp_path / "more"
        folder.mkdir()
        (folder / Path(path).name).write_text(code)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        name = f"{package.__name__}.{Path(path).stem}"
        modules.append((package, name))
        return importlib.import_module(name)

    modules = []
    yield add
    for package, name in modules:
        sys.modules.pop(name, None)
        delattr(package, name.rpartition(".")[2])


def test_the_model_that_the_page_adds_trains(add_page, fashion_mnist):
    from dataclasses import replace

    module = add_page("add_a_model.md")
    data = replace(fashion_mnist, train_images=64, validation_images=20, test_images=20)
    model, *epochs = module.train(module.Config(filters=4, image_size=16), data, seed=1, epochs=2)
    # 3x3 from 1 to 4 and from 4 to 8, biases, and 8 features to 10 classes
    assert model.parameters == (9 * 4 + 4) + (9 * 4 * 8 + 8) + (8 * 10 + 10)
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert epochs[-1].test.images == 20


def test_the_data_set_that_the_page_adds_is_prepared_and_split(add_page, tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    add_page("add_a_dataset.md")
    labels = np.arange(300) % 2
    lines = np.where(np.arange(8) % 2, 255, 0).astype(np.uint8)
    images = np.where(labels[:, None, None], lines[None, None, :], lines[None, :, None]).astype(np.uint8)[..., None]
    np.savez(tmp_path / "stripes.npz", images=images, labels=labels)
    data = prepare("stripes", folder=tmp_path)
    assert (data.classes, data.image_shape) == (("across", "down"), (8, 8, 1))
    sets = data.split(1)
    assert (len(sets.train.labels), len(sets.validation.labels), len(sets.test.labels)) == (200, 40, 60)
