"""One module per page; each builds a Dash layout from records."""
