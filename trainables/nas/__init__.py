"""AutoKeras: its search space, its oracles, and the family whose networks a search found."""
