"""Reading and writing of pictures as core TensorFlow operations."""
