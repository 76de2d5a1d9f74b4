"""The costs of this program, compared with other tools. Run a benchmark by hand: `python -m benchmarks.NAME`."""
