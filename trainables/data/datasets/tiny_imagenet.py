"""Tiny-ImageNet-200: 100,000 colour training images of 64x64, 200 classes; its 10,000 validation images are for tests."""

from typing import Final

from trainables.data import tiny_imagenet_files

NAME: Final = "tiny_imagenet"

find, files, load = tiny_imagenet_files.find, tiny_imagenet_files.files, tiny_imagenet_files.official
