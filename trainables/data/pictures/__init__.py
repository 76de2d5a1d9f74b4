"""Pictures of people: from a folder, a table or a Parquet file to arrays in the cache."""
