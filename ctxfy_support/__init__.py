"""The project; its version stands here alone, and whatever shows it reads it from here."""

VERSION = "1.0.0"
