"""Checks a data set before hours are spent on it: counts, damage, copies, and what a model sees; without Ray."""
