"""The first steps with data of one's own: `tofner init` makes a preset, queries and a data root of plain files."""
