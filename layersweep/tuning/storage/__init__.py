"""What earlier commands left: recorded trials and checkpoints."""
