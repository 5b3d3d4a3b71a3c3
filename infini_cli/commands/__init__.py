"""The subcommands: one file each, thin; what they do lives in `session`, `answering` and the library."""
