"""How runs look: as text in a terminal, and as one page that needs no network."""
