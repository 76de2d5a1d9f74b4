"""The model families, one a file; those of keras.applications in one table."""
