"""Import and export formats; one module for each, found by entry points."""
