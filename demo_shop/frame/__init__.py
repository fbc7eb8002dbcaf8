"""What every service of the shop shares: telemetry, problems, stores, calls to each other, the two listeners."""
