"""A run as Markdown, HTML and a model card."""
