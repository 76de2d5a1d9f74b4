"""What it costs, against what a user would otherwise run. Run one by hand: `python -m benchmarks.NAME`."""
