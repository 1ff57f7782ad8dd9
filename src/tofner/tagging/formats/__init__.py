"""What files to tag hold: one file a format, read and written."""
