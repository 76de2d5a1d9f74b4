"""Plots, their style, and drawings of networks."""
