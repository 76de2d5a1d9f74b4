"""How a model is trained, epoch by epoch."""
