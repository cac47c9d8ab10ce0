"""The fakes that ship: one engine over HTTP."""
