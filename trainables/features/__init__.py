"""The frozen part of a network, and the cache of its features."""
