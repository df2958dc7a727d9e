"""Identifiers of a person, an account or a device: one small file each. The registry is in `detectors/registry.py`."""
