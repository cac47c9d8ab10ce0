"""How it is called: one file a verb; parse, call `operate`, print."""
