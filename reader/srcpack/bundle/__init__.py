"""SourceBundle zips: the directory, the members, `manifest.json`, and the store over a zip."""
