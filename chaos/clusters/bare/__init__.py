"""Real Kubernetes as plain processes in namespaces: no Docker, no systemd, no registry, and no way out."""
