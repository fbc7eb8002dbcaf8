"""Browse and search: the catalogue from the read replica, with Redis in front."""
