"""The process that trains: it serves one training after another, forks, and checks models."""
