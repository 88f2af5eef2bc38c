"""What exists: clip names, zip members, the catalogue, manifests and synthetic data."""
