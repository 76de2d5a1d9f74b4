"""KerasTuner's hypermodels: their hyperparameters as keys, how these are discovered, and their networks made flat."""
