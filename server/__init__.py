"""Wiring: settings, the application, live transports, and the command line."""

__version__ = "0.1.0"
