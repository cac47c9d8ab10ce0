"""What to say: rules over facts, findings out."""
