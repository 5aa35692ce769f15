"""What people would pick instead, given the same work: each is a script that runs in an environment of its own.

The scripts import nothing of ours but `work`, which stands beside them; `ours.py` gives the same work to Recollect.
What is alike: texts, vectors, spans, the disk, and that a write is on it when it is answered, where the peer has that.
"""
