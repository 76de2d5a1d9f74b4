"""What a trial, an epoch and a layer are, and how they are kept in Parquet. Needs neither Ray nor Keras."""
