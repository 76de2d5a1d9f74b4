"""The sections that a study can show after the comparison of its arms."""
