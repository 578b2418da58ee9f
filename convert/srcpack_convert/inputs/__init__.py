"""What names stand for: files, folders, patterns, buckets and lists; the bundles and packs there."""
