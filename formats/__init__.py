"""The file formats that conversations come in and graphs go out in."""
