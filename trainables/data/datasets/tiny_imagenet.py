"""Tiny-ImageNet-200: 100,000 colour training images of 64x64 in 200 classes; tested on its 10,000 validation images."""

from typing import Final

from trainables.data import tiny_imagenet_files

NAME: Final = "tiny_imagenet"

find, files, load = tiny_imagenet_files.find, tiny_imagenet_files.files, tiny_imagenet_files.official
