"""Adaptation: training the memory path of a frozen base."""
