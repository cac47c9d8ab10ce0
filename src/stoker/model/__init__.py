"""What is served: shapes, as values, out of config.json and safetensors headers."""
