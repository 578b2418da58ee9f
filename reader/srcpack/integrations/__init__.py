"""Packs behind the interfaces of other projects."""
