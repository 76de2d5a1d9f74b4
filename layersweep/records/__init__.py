"""The recorded values of trials, epochs and layers, and their Parquet files. Needs neither Ray nor Keras."""
