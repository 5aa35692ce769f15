"""What other tools write, and how it becomes our records, and back."""
