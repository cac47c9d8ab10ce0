"""How vLLM speaks: its log, its metrics page, its OpenAI bodies."""
