"""Broken input by the thousand: `python -m benchmarks.fuzz [--count N | --seconds S] [--seed N] [--kinds
spec,model]`.

Each case is made of a valid file by mutations that know its grammar and by others that know bytes alone, from
its kind and number only, so that it can be made again. It is read by what reads it in the product, in a child
process that may hang or die. A case passes if it ends in a result or in one of Stoker's own errors, in 2 s of
CPU and 200 MB.
"""
