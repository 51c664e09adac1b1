"""Tables, terminal and HTML, from score records and rows alone."""
