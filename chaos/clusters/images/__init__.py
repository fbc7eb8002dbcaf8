"""Container images from Debian packages, wheels and files, without a registry, a daemon or Docker."""
