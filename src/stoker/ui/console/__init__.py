"""One web app: the start page at `/`, the Gradio chat at `/chat`."""
