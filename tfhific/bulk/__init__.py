"""Many pictures on many machines: places, a plan, a manifest, and workers on Ray."""
