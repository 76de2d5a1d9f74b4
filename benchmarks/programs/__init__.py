"""The measured programs, each a separate process that a benchmark starts."""
