"""A cluster to look at: Foresail over the demo shop, a declared sale, and what happens meanwhile."""
