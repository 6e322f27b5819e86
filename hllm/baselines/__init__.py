"""What HLLM is compared with: ID-based models, counts of interactions, sentence embeddings."""
