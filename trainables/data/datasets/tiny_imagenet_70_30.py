"""Tiny-ImageNet-200 with the reports' own test set: 30 % of its training images, stratified, always the same."""

from functools import partial
from typing import Final

from trainables.data import tiny_imagenet_files

NAME: Final = "tiny_imagenet_70_30"
TEST_SHARE: Final = 0.3

find, files = tiny_imagenet_files.find, tiny_imagenet_files.files
load = partial(tiny_imagenet_files.with_own_test_set, share=TEST_SHARE)
