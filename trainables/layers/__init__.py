"""Keras layers of this project, and how layers are frozen."""
