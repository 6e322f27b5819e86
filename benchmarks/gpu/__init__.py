"""The parts of benchmarks/on_gpu.py: what was never run on a GPU, measured in a process each."""
