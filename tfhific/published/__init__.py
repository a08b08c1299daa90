"""A trained model as it is published: networks, tables, the integer branch, one file."""
