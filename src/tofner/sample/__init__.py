"""The generated corpora of preset `sample`."""
