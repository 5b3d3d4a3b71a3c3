"""Summaries: a note for each chapter while a text is read, checked against the text, and a whole made from the notes."""
