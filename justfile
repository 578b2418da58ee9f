# What one runs by hand; `just` comes by `pip install rust-just`. `python` is the environment's.

python := env("PYTHON", ".venv/bin/python")

# The whole suite.
test:
    {{python}} -m pytest

# The benchmarks; `just bench --quick` is the smoke test.
bench *args:
    {{python}} -m benchmarks {{args}}

# Each fuzz target for ten minutes; `just fuzz pack --minutes 1` one of them for one. Needs `pip install -e '.[fuzz]'`.
fuzz *args:
    {{python}} fuzz/run.py {{args}}
