"""What is asked: models of the file, its loader and its overrides. pydantic lives only here."""
