"""Reads what a sweep recorded and answers its question: tables, figures, pages. Needs neither Ray nor Keras."""
