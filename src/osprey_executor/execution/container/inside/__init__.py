"""What runs in a container of ours besides programs: its first process, and the canaries. Standard library alone."""
