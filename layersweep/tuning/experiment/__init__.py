"""What is asked: the sweep, its options, its arms and their trials."""
