"""A data set's way from its files to a trial: download, cache, splits."""
