"""What a study may show besides the comparison of its arms."""
