"""What every engine must do. See docs/engines.md for how to run it."""
