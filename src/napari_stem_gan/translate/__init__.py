"""CycleGAN that makes simulations look like today's session."""
