# What one runs by hand; `just` comes by `pip install rust-just`. `python` is the environment's.

python := env("PYTHON", ".venv/bin/python")

# The whole suite.
test:
    {{python}} -m pytest

# The documents as a site, made again as they change. Needs `pip install -e '.[docs]'`.
site:
    {{python}} -m mkdocs serve

# The benchmarks; `just bench --quick` is the smoke test.
bench *args:
    {{python}} -m benchmarks {{args}}

# Half an hour of reads while packs come and go: memory, descriptors, every byte.
soak *args:
    MALLOC_ARENA_MAX=1 PYTHONPATH=tests {{python}} -m reliability.soak {{args}}

# Hundreds of conversions killed at random instants, and what they leave.
crash *args:
    PYTHONPATH=tests {{python}} -m reliability.crash {{args}}

# Exceptions before every bytecode, and by signals: two minutes for each thing done.
exceptions *args:
    PYTHONPATH=tests {{python}} -m reliability.exceptions {{args}}

# What a zip costs whose parts are doubled, each pair of them; `just growth --only extra` some of them.
growth *args:
    PYTHONPATH=tests {{python}} -m reliability.growth {{args}}

# The same of a pack.
pack-growth *args:
    PYTHONPATH=tests {{python}} -m reliability.pack_growth {{args}}

# Thousands of batches over generated spellings of names: is each input a pack, a failure, or passed over?
conservation *args:
    PYTHONPATH=tests {{python}} -m reliability.conservation {{args}}

# Each fuzz target for ten minutes; `just fuzz pack --minutes 1` one of them for one. Needs `pip install -e '.[fuzz]'`.
fuzz *args:
    {{python}} fuzz/run.py {{args}}
