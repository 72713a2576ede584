"""Crystals: materials, structures with defects, and the lattice found in an image."""
