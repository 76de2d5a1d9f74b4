"""AutoKeras: its search space, its oracles, and the family of its networks."""
