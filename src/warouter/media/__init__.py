"""Media: the files that all nodes share, their rows, and the links that they are fetched from."""
