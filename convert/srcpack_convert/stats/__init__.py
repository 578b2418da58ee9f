"""Statistics over many packs."""
