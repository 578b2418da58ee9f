"""Many packs together: sets and caches of packs and contents, and the resolving of events."""
