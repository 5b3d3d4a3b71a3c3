"""Many documents, each into a memory state of its own, in a folder with a manifest of what was done.

A run is planned (`plan`), done here, by worker processes (`pool`) or by a Ray cluster (`on_ray`), each of which holds
a `worker.Reader`, and recorded as it goes (`manifest`).
"""
