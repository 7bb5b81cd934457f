"""Who may do what: decided at the edge, before a body is read, by one pure function."""
