"""What the columns of the tables mean, in words."""
