"""What is read off a model: size, costs, latency, layer statistics, LiteRT."""
