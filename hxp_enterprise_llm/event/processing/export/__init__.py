"""What is known, as files: tables of the log and of the history in CSV, JSON, NDJSON and Parquet, streamed."""
