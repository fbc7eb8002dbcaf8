"""Prices that follow demand and stock within guard rails, each with its reasons."""
