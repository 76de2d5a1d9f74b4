"""The part of Ray that a head's `tuning.head` uses, on files."""
