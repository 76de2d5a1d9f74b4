"""Numbers and verdicts in words, and tables of them."""
