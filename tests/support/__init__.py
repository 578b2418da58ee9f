"""Helpers of tests: builders of bundles and packs, damage, servers, and an independent reader."""
