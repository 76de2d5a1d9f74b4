"""The training process, which serves one training after another, and the processes that fork it and check models."""
