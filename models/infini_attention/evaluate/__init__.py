"""Evaluation: what a model still knows after reading."""
