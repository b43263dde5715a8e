"""Where estimates and observations are kept: InfluxDB, or one SQLite file of our own."""
