"""The questions, one per file; each file is a script."""
