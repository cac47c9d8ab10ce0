"""The package as strangers have it: built, installed outside this checkout, and the image's own steps."""
