"""How far a job is, on a page of its own while it runs."""
