"""Serves it: the application, its transports, who may use it, and what it reports."""
