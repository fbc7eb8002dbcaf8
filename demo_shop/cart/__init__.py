"""Carts in Redis: small, bounded, and never empty by mistake."""
