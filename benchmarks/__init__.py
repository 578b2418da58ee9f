"""Measurements that anyone can rerun: `python -m benchmarks`. README.md says what they mean."""
