"""Answers the question of a sweep from its records: tables, figures, pages. Needs neither Ray nor Keras."""
