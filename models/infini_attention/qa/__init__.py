"""Looking back: the text that was read, kept beside the memory, and the passages of it that an answer rests on."""
