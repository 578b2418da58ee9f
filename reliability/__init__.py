"""Long runs that try to break what must hold: `just soak`, `just crash`; see docs/reliability.md."""
