"""Tiny-ImageNet-200: 100,000 colour 64x64 images of 200 kinds to train; its 10,000 labelled validation images test."""

from typing import Final

from trainables.data import tiny_imagenet_files

NAME: Final = "tiny_imagenet"

find, files, load = tiny_imagenet_files.find, tiny_imagenet_files.files, tiny_imagenet_files.official
