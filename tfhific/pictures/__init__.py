"""Pictures as people have them: reading, writing, colour, metadata. No network."""
