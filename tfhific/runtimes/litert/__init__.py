"""Runs published networks by LiteRT, TensorFlow Lite's interpreter, without TensorFlow."""
