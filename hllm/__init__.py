"""HLLM: hierarchical large language models for sequential recommendation (arXiv 2409.12740)."""
