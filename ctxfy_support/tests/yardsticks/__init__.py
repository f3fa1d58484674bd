"""Small programs that do no more than they must; bench.py holds the service against them.

Each takes what the service takes (a Bearer key, a JSON ticket), finds the account and stores one
row durably, in tables of its own (tables.sql), on the PostgreSQL that DATABASE_URL names.
"""
