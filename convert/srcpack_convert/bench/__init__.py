"""The comparison of packs with zips on bundles of one's own."""
