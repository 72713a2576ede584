"""CGRDN restoration of single-shot images."""
