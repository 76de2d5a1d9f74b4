"""HTML pages: the elements of every page, and the page of a comparison."""
