"""Runs published networks by LiteRT, TensorFlow Lite's interpreter: a receiver needs no TensorFlow."""
