#!/usr/bin/env bash
# guidellm 0.8.1: an answer with a line separator in its text (U+2028, U+2029 or U+0085).
