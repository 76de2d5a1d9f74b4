"""Texts and tables of a study."""
