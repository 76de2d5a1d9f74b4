"""Measurements of a model: size, costs, accuracy, latency, layer statistics, LiteRT."""
