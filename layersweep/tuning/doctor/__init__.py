"""Checks of a cluster or of this machine, and advice about each problem."""
