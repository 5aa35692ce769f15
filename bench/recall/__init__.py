"""Whether search finds what was said: samples of several kinds, asked in every mode and without each signal."""
