"""What the files of a model folder may say; checked before anything is built from them."""
