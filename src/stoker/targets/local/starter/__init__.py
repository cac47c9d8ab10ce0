"""The starter: starts vLLM with its imports made once, and copies of that process for those it would spawn.

A program of its own, in the engine's process: it loads nothing else of Stoker.
"""
