"""What is decided: a Plan out of a spec, a shape and the hardware on offer."""
