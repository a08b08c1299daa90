"""Folders of files: what is taken, atomic writes, jobs."""
