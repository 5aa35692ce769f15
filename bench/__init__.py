"""What proves the speed: `recollect bench`, or `python -m bench`."""
