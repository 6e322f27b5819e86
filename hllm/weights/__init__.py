"""How tensors lie in files: weight files, matrices in NF4, weights that come as packages."""
