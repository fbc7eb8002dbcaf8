"""What the services keep: PostgreSQL schema and seed, and the clients of PostgreSQL and Redis."""
