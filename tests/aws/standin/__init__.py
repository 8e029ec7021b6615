"""A stateful stand-in for the AWS services muster talks to.

It runs in a process of its own, keeps every rule the real services are known to keep, and serves values that are a
pure function of a seed, so that a test can compute what must have arrived without asking the server (truth.py).
"""
