"""The bundle of test vectors: everything that another language needs to use them without this suite."""
