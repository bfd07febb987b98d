"""The benchmark: `make bench`. Each part returns figures; nothing here is imported by what is measured."""
