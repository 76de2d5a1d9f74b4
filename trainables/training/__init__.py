"""The training of a model, epoch by epoch."""
