"""Faults on a live shop: each begins, grows and is taken back."""
