"""Writes recorded sweeps for other tools: TensorBoard, MLflow, Weights & Biases, Optuna. Reads records and studies."""
