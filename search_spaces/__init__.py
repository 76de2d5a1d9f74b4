"""The search space of each sweep, as flat data: each key has a list of choices, or a Range; several dicts add up."""
