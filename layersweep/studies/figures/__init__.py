"""Figures of a study: plots, drawings of networks, and their style."""
