"""The codec as core TensorFlow operations."""
