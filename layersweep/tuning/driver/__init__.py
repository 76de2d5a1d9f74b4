"""The process that plans a sweep, runs it through Tune and writes its rows."""
