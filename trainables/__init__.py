"""Keras: model families, datasets, training and measures. Knows nothing of Ray."""
