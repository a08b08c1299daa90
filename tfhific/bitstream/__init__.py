"""The bytes of a `.tfh` file. No network."""
