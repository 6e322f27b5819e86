"""How tensors are stored: weight files, matrices in NF4, weights that come as packages."""
