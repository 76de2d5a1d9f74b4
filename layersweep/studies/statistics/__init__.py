"""From recorded rows to comparisons of arms: the numbers of a study, without texts and figures."""
