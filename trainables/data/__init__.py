"""Data sets: download, image files, the cache of a machine, splits."""
