"""Statistics on arrays: models, critical values, verdicts, seeds needed. They know nothing of records."""
