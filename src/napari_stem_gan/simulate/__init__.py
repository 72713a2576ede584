"""Incoherent annular dark-field simulation and labelled training pairs."""
