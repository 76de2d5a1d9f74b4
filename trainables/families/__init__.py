"""The model families: one per file, and those of keras.applications in one table."""
