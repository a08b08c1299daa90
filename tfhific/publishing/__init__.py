"""From a trained Keras model to a published one: folding, calibration, writing."""
