"""Training: what a step computes, the loop around it, and its options."""
