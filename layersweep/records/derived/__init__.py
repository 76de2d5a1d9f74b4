"""Tables that are computed from the others: whoever reads them needs no rules, and they can be made again."""
