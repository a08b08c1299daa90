"""Runs published networks on arrays of any size."""
