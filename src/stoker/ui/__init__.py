"""How it looks: the terminal, the chat REPL, the web app."""
