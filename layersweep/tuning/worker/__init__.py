"""Tune's actor on each slot, and the training process that it owns."""
