"""Django's SQLite backend, whose writers within one process take turns."""
