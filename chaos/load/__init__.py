"""Load on a running shop: arrivals, visits, the probe, the ledger of orders and its reconciliation with the books."""
