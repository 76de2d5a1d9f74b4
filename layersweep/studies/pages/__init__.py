"""The frame of a page, and the page of a comparison."""
