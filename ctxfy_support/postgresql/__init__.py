"""Django's PostgreSQL backend, with a bound on how long it waits for a server that says nothing."""
