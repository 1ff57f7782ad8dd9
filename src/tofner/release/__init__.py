"""Whether a new tagger takes the place of the one that readers have: the gate, and how its verdict is told."""
