"""The format of packs: SPEC.md as code, a module a section, and the store over a `.srcpack`.

Whatever reads bytes of a pack raises FormatError where they are not as SPEC.md says, and LimitExceeded where
they claim more than the version allows. `file` and `offset` are for these messages: what the pack is called,
and where in it the structure lies.
"""
