"""What it costs, against what a user would otherwise run. Each benchmark is run by hand: `python -m benchmarks.NAME`."""
