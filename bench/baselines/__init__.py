"""What Recollect stands beside: ordinary programs for the same work."""
