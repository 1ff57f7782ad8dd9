"""What a model folder holds, and finding, fetching and checking one. Loads neither torch nor transformers."""
