"""More than one machine: embedding and training on a Ray cluster (requirements-scale.txt)."""
