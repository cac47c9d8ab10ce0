"""How many parameters a model class has, as a program of its config's fields: read by building it with values
that remember where they come from."""
