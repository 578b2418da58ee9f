"""The format of packs: SPEC.md as code, a module a section, and the store over a `.srcpack`."""
