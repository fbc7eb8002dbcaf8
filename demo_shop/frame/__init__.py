"""What every service of the shop shares: settings, telemetry, problems, stores, calls to each other, the two listeners."""
