"""Files of sentences and questions: readers, writers, and where they lie in a data root."""
