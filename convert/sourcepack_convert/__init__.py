"""Converter between SourceBundle zips and `.srcpack` files."""
