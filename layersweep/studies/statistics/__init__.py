"""From recorded rows to comparisons of arms: numbers alone."""
