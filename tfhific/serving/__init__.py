"""A published model as a SavedModel of core TensorFlow ops, and what goes around it."""
