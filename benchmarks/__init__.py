"""Benchmarks: each pairs what it compares in one run."""
