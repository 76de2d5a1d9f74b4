"""The frozen part of a network, and its cached features."""
