"""Pure functions over words, tags and pieces: arrays in, arrays out. No file but tokenizer.json, no torch."""
