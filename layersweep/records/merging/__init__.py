"""Merges results folders into one."""
